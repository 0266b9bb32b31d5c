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

/** A type of data whose interfaces are spelled out, so that the compiler can see that it is JSON. */
export type Plain<T> = T extends null | boolean | number | string | undefined
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Plain<Item>[]
    : { readonly [Key in keyof T]: Plain<T[Key]> }
