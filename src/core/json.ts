/** What a step may take and give: it is written to the job's journal and read back after a crash. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
