import { z } from 'zod'

/** A kernel or a ramdisk: a file, or an image of a cloud. */
export const bootFileInput = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('file'), path: z.string() }),
  z.strictObject({ kind: z.literal('cloud'), cloud: z.string(), thing: z.string() }),
])

export type BootFileInput = z.infer<typeof bootFileInput>

/** How a disk is made one that starts by itself, as a job keeps it. */
export const bootableInput = z
  .strictObject({
    /** The machines it is for; null: both, or what an ordinary disk is laid out for already. */
    firmware: z.enum(['bios', 'uefi', 'both']).nullable().default(null),
    /** Where the image has none, or another one is to be used. */
    kernel: bootFileInput.nullable().default(null),
    ramdisk: bootFileInput.nullable().default(null),
    /** Bytes the disk is to have. */
    growTo: z.number().int().positive().nullable().default(null),
    /** Has the files of GRUB, in a folder for each kind of machine. */
    grubFolder: z.string().default('/usr/lib/grub'),
  })
  .refine(({ kernel, ramdisk }) => kernel !== null || ramdisk === null, {
    message: 'A ramdisk belongs to a kernel: name that, too.',
  })

export type BootableInput = z.infer<typeof bootableInput>
