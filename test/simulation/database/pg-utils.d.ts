// `pg` exports this file and has no types for it.
declare module "pg/lib/utils.js" {
  /** The text, or the buffer, that stands for a value in the protocol. */
  export function prepareValue(value: unknown): unknown;
}
