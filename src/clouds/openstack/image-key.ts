import { createHash } from 'node:crypto'

/*
 * How an image is found again by the idempotency key it was made with, in a cloud whose images inherit properties: Nova
 * copies the properties of the image a server was launched from to every snapshot of the server, the key included.
 * So the key stands beside what it is the key of; in a copy the two do not belong together.
 */

/** Property: the key an image was made with. */
export const keyProperty = 'imagewright_key'

/** Property: the image's own id, or, for a snapshot that Nova made, the id of the server. */
export const keyOwnerProperty = 'imagewright_key_of'

/** The properties of an image made with this key. `owner` is its id, or the id of the server it is a snapshot of. */
export function keyProperties(key: string, owner: string): Readonly<Record<string, string>> {
  return { [keyProperty]: key, [keyOwnerProperty]: owner }
}

/** How many images of one key may have been deleted before another is refused. */
export const generations = 16

/**
 * The id of an image made with this key, a name-based UUID (RFC 9562 version 8). A cloud gives every id once, so that of any
 * number of processes with one key one makes the image. The id of a deleted image stays taken: the next generation
 * follows it.
 */
export function idOfImageKey(key: string, generation: number): string {
  const digest = createHash('sha256').update(`imagewright glance image\0${generation}\0${key}`).digest()
  digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x80, 6)
  digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8)
  return digest.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** Whether the image is the one made with `key`, and no copy of its properties. */
export function isMadeWith(
  key: string,
  image: { readonly id: string; readonly properties: Readonly<Record<string, string>> },
): boolean {
  const owner = image.properties[keyOwnerProperty]
  return (
    image.properties[keyProperty] === key &&
    owner !== undefined &&
    (owner === image.id || owner === image.properties.instance_uuid)
  )
}
