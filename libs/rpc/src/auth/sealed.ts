import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

/** Texts that carry ids and prove that somebody who knows a secret wrote them; nothing has to be kept to check one. */
export interface Sealed {
  /** "PREFIX.ID.….SEAL", of letters, digits and ._- only. */
  write(ids: readonly string[]): string;
  /** The ids; null for whatever was not written with this secret for this purpose. */
  read(text: string): readonly string[] | null;
}

export interface SealedOptions {
  /** Begins every text, so that a person and a secret scanner see what it is: letters and digits. */
  readonly prefix: string;
  /** What the texts are for: one secret serves several purposes, and a text of one is none of another. */
  readonly purpose: string;
  readonly secret: string;
  /** How many ids a text carries. */
  readonly ids: number;
}

const keyBytes = 32;
/** Longer texts are nobody's, and are not worth a hash. */
const longestText = 512;

export function createSealed({ prefix, purpose, secret, ids: count }: SealedOptions): Sealed {
  const key = Buffer.from(hkdfSync("sha256", secret, "headroom", purpose, keyBytes));
  const sealOf = (body: string): Buffer => createHmac("sha256", key).update(body).digest();
  return {
    write(ids) {
      const body = [prefix, ...ids].join(".");
      return `${body}.${sealOf(body).toString("base64url")}`;
    },
    read(text) {
      if (text.length > longestText) return null;
      const [first, ...rest] = text.split(".");
      const seal = rest.pop();
      if (first !== prefix || seal === undefined || rest.length !== count) return null;
      const expected = Buffer.from(sealOf([prefix, ...rest].join(".")).toString("base64url"));
      const given = Buffer.from(seal);
      // Of equal length, compared in the same time whatever was guessed.
      return given.length === expected.length && timingSafeEqual(given, expected) ? rest : null;
    },
  };
}
