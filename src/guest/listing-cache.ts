/** Listings of directories, as many as fit. */
export interface ListingCache<Key, Listing> {
  get(key: Key): Listing | undefined
  set(key: Key, listing: Listing): void
  clear(): void
}

/** At some hundred bytes each, a few MiB. */
const maximumListedEntries = 30_000

/** Beyond so many entries the directories that were not asked for the longest are forgotten; the last one never is. */
export function createListingCache<Key, Listing extends { readonly size: number }>(
  maximumEntries = maximumListedEntries,
): ListingCache<Key, Listing> {
  const listings = new Map<Key, Listing>()
  let entries = 0
  return {
    get(key) {
      const known = listings.get(key)
      if (known) {
        listings.delete(key)
        listings.set(key, known)
      }
      return known
    },

    set(key, listing) {
      // Two may have asked for it at once.
      entries -= (listings.get(key)?.size ?? -1) + 1
      listings.delete(key)
      listings.set(key, listing)
      entries += listing.size + 1
      for (const [oldest, known] of listings) {
        if (entries <= maximumEntries || oldest === key) break
        listings.delete(oldest)
        entries -= known.size + 1
      }
    },

    clear() {
      listings.clear()
      entries = 0
    },
  }
}
