/** One place of a source, and what stands there instead. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export const mutations: readonly (Edit & { readonly name: string; readonly and?: Edit | readonly Edit[] })[];
