/**
 * What a step may take and give: it is written to the job's journal and read back after a crash. Properties that are
 * undefined are left out.
 */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined }
