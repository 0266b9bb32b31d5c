import { hostileCompressed } from './hostile-compressed.ts'
import { hostileDataFiles } from './hostile-data-files.ts'
import { hostileFormats } from './hostile-formats.ts'
import { hostileGpts } from './hostile-gpt.ts'
import type { HostileImage } from './hostile-image.ts'
import { hostileMbrs } from './hostile-mbr.ts'
import { hostileOvas } from './hostile-ova.ts'
import { hostileQcow2Data } from './hostile-qcow2-data.ts'
import { hostileQcow2Extras } from './hostile-qcow2-extras.ts'
import { hostileQcow2Headers } from './hostile-qcow2-headers.ts'
import { hostileQcow2Tables } from './hostile-qcow2-tables.ts'
import { hostileTars } from './hostile-tar.ts'
import { hostileVdis } from './hostile-vdi.ts'
import { hostileVhds } from './hostile-vhd.ts'
import { hostileVhdx } from './hostile-vhdx.ts'
import { hostileVhdxLogs } from './hostile-vhdx-logs.ts'
import { hostileVmdkData } from './hostile-vmdk-data.ts'
import { hostileVmdkDescriptors } from './hostile-vmdk-descriptors.ts'
import { hostileVmdkHeaders } from './hostile-vmdk-headers.ts'
import { hostileVmdkStreams } from './hostile-vmdk-streams.ts'
import { hostileVmdkTables } from './hostile-vmdk-tables.ts'

export type { HostileImage } from './hostile-image.ts'

/**
 * Images made to harm whoever opens them, and their harmless neighbours one step inside each limit, with the verdict
 * that is right for each. Made by code, a few KiB each, or a few MiB with holes.
 */
export const hostileImages: readonly HostileImage[] = [
  ...hostileFormats,
  ...hostileMbrs,
  ...hostileGpts,
  ...hostileQcow2Headers,
  ...hostileQcow2Tables,
  ...hostileQcow2Extras,
  ...hostileQcow2Data,
  ...hostileDataFiles,
  ...hostileVmdkHeaders,
  ...hostileVmdkDescriptors,
  ...hostileVmdkTables,
  ...hostileVmdkStreams,
  ...hostileVmdkData,
  ...hostileVdis,
  ...hostileVhds,
  ...hostileVhdx,
  ...hostileVhdxLogs,
  ...hostileOvas,
  ...hostileTars,
  ...hostileCompressed,
]
