import type { AuthPolicy } from "../auth/auth-policy.ts";
import type { Caller } from "../call.ts";
import { HeadroomError } from "../errors.ts";
import type { AccessLevel, CallMeta } from "../server/method-table.ts";

/** The caller, if it may call the method. Not a promise where the policy can tell at once. */
export function admit(
  policy: AuthPolicy,
  method: string,
  access: AccessLevel,
  meta: CallMeta,
): Caller | Promise<Caller> {
  const caller = policy.authorize({ method, access, authorization: meta.authorization, peer: meta.peer });
  return caller instanceof Promise
    ? caller.then((known) => requireRole(known, method, access))
    : requireRole(caller, method, access);
}

/** Held here for every policy, so that none can forget it. Operators may do whatever planners may. */
function requireRole(caller: Caller, method: string, access: AccessLevel): Caller {
  if (access === "open" || caller.roles.has(access)) return caller;
  if (access === "planner" && caller.roles.has("operator")) return caller;
  throw new HeadroomError({
    code: "PERMISSION_DENIED",
    reason: "ROLE_REQUIRED",
    message: `${method} needs the role ${access}; use a credential that holds it`,
    metadata: { role: access },
  });
}
