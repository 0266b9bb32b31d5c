import { expect, test } from 'vitest'
import { createListingCache } from '../../src/guest/listing-cache.ts'

const listing = (entries: number): { size: number } => ({ size: entries })

test('keeps as many listings as fit, and forgets those that were not asked for the longest', () => {
  const cache = createListingCache<string, { size: number }>(10)
  for (const name of ['a', 'b', 'c']) cache.set(name, listing(2))
  expect(cache.get('a')).toEqual(listing(2))
  cache.set('d', listing(2))
  expect(['a', 'b', 'c', 'd'].filter((name) => cache.get(name))).toEqual(['a', 'c', 'd'])
})

test('keeps the last one however large it is, and counts none twice', () => {
  const cache = createListingCache<string, { size: number }>(10)
  cache.set('a', listing(4))
  cache.set('a', listing(4))
  cache.set('b', listing(4))
  expect(['a', 'b'].filter((name) => cache.get(name))).toEqual(['a', 'b'])
  cache.set('huge', listing(100))
  expect(['a', 'b', 'huge'].filter((name) => cache.get(name))).toEqual(['huge'])
  cache.clear()
  expect(cache.get('huge')).toBeUndefined()
})
