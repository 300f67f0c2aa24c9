import { createHash } from "node:crypto";
import { type Needs, shapeKey } from "@headroom/scheduling";

/** A row of an index takes 2,704 bytes; so many characters are at most 2,048. */
const longest = 512;

/** The key under which tasks of one shape stand in the queue. Needs with many labels or models are known by their digest. */
export function queueShape(needs: Needs): string {
  const key = shapeKey(needs);
  return key.length <= longest ? key : `sha256:${createHash("sha256").update(key).digest("base64url")}`;
}
