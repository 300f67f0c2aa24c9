/** Join tokens as texts. What an operator hands out is checked without asking the store, which keeps its hash only. */
import { createSealed } from "@headroom/rpc";
import { createHash } from "node:crypto";

export interface JoinTokens {
  /** The same id gives the same text, so that a call that is asked again can answer it although it is kept nowhere. */
  write(tokenId: string): string;
  /** What the store knows it by; null for a text that was not written with this Headroom's secret. */
  hashOf(text: string): Buffer | null;
}

export function createJoinTokens(secret: string): JoinTokens {
  const sealed = createSealed({ prefix: "hrj1", purpose: "join token", secret, ids: 1 });
  return {
    write: (tokenId) => sealed.write([tokenId]),
    // A seal holds 256 bits that nobody can guess, so that a plain digest is as good as a slow one.
    hashOf: (text) => (sealed.read(text) === null ? null : createHash("sha256").update(text).digest()),
  };
}
