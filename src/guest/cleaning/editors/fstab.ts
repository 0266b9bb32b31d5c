import { parseFstabLine } from '../../inspect/fstab.ts'
import { dropping } from './editor.ts'

/** The entries cloud-init added for disks of one machine; it marks them in the options. */
export const dropCloudInitMounts = dropping(
  (line) => parseFstabLine(line)?.options.includes('comment=cloudconfig') ?? false,
)

/** Swap in a file; swap partitions stay. */
export const dropSwapFiles = dropping((line) => {
  const entry = parseFstabLine(line)
  return entry?.type === 'swap' && entry.device.startsWith('/') && !entry.device.startsWith('/dev/')
})

/**
 * Further disks of one machine, by the device field alone: a UUID whose comment names a device stays, and so does
 * whatever is in the image after all.
 */
export const dropDataDisks = dropping((line, { mounted = [] }) => {
  const entry = parseFstabLine(line)
  if (!entry || !dataDisk.test(entry.device)) return false
  return !needed.has(entry.mountPoint) && !mounted.includes(entry.mountPoint)
})

/** All but the first partition of the first SCSI disk, and all virtio and Xen disks but the first. */
const dataDisk = /^\/dev\/(sda([2-9]|1[0-9])|sd[b-z][0-9]*|vd[b-z][0-9]*|xvd[b-z][0-9]*)$/
const needed = new Set(['/', '/boot', '/boot/efi', '/usr', '/var'])
