import { hostname, userInfo } from "node:os";

/** Who sits here, for people: "ana@desk-7". Not a proof of anything. */
export function whoIsThis(): string {
  let user = "";
  try {
    user = userInfo().username;
  } catch {
    // A user id without an entry, as in containers.
  }
  return (user === "" ? hostname() : `${user}@${hostname()}`).slice(0, 128);
}
