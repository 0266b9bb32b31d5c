import { expect, test } from 'vitest'
import { freeBuffer } from '../../src/core/free-buffer.ts'

test('leaves every view of a large buffer empty', () => {
  const buffer = Buffer.allocUnsafeSlow(65_537)
  const view = buffer.subarray(100, 200)
  freeBuffer(view)
  expect([buffer.length, view.length]).toEqual([0, 0])
})

test('leaves what others may use', () => {
  const pooled = Buffer.from('of the pool')
  freeBuffer(pooled)
  expect(pooled.toString()).toBe('of the pool')
  const shared = new Uint8Array(new SharedArrayBuffer(65_537))
  freeBuffer(shared)
  expect(shared.length).toBe(65_537)
})

test('may be called again', () => {
  const buffer = Buffer.allocUnsafeSlow(65_537)
  freeBuffer(buffer)
  expect(() => freeBuffer(buffer)).not.toThrow()
})
