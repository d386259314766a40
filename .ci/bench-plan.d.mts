/** What TypeScript must know of the plan. */
export const plan: readonly { readonly file: string; readonly args: readonly string[] }[]
