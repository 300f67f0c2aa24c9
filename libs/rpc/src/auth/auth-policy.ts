import type { Caller } from "../call.ts";
import type { AccessLevel } from "../server/method-table.ts";

/** What a caller shows, and what it wants. */
export interface AccessRequest {
  /** `headroom.registry.v1.CapacityService/GetAgentCapacity` */
  readonly method: string;
  readonly access: AccessLevel;
  /** The `authorization` header as it came. */
  readonly authorization: string | undefined;
  /** Address of the caller, for logs. */
  readonly peer: string;
}

/** Decides who may call what. */
export interface AuthPolicy {
  /** Whether anything that is not open needs a credential; without one a server binds to loopback only. */
  readonly requiresCredential: boolean;
  /** The caller with its roles. Throws or rejects with HeadroomError UNAUTHENTICATED or PERMISSION_DENIED. */
  authorize(request: AccessRequest): Caller | Promise<Caller>;
}
