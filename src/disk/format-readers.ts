import type { FormatReader } from './format-reader.ts'

const readers = {
  raw: async () => (await import('./raw/raw-format.ts')).rawFormat,
  qcow2: async () => (await import('./qcow2/qcow2-format.ts')).qcow2Format,
  vmdk: async () => (await import('./vmdk/vmdk-format.ts')).vmdkFormat,
  vdi: async () => (await import('./vdi/vdi-format.ts')).vdiFormat,
  vhd: async () => (await import('./vhd/vhd-format.ts')).vhdFormat,
  vhdx: async () => (await import('./vhdx/vhdx-format.ts')).vhdxFormat,
} as const satisfies Readonly<Record<string, () => Promise<FormatReader>>>

export type DiskFormat = keyof typeof readers

/** The formats that can be read. */
export const diskFormats: readonly DiskFormat[] = ['raw', 'qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx']

export function isDiskFormat(name: string): name is DiskFormat {
  return Object.hasOwn(readers, name)
}

/** Loaded when it is used: most runs of the command line need one format. */
export function formatReader(format: DiskFormat): Promise<FormatReader> {
  return readers[format]()
}
