export { memoryDisk } from '../../src/disk/memory-disk.ts'
