import type { wire } from "@headroom/client";
import type { RpcClient, RpcCode } from "@headroom/rpc";

/** The services of a cluster, as programs call them. */
export interface Api {
  readonly capacity: RpcClient<typeof wire.CapacityServiceService>;
  readonly fleet: RpcClient<typeof wire.FleetServiceService>;
  readonly plans: RpcClient<typeof wire.PlanServiceService>;
  readonly queue: RpcClient<typeof wire.PauseQueueServiceService>;
}

export interface RestRequest {
  readonly service: "registry" | "orchestrator";
  readonly verb: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
}

export type GrpcCall = (api: Api) => Promise<unknown>;

/** A request that cannot be accepted, on either face, and what has to be answered. */
export interface BadCase {
  readonly name: string;
  readonly grpc?: GrpcCall;
  readonly rest?: RestRequest;
  readonly code: RpcCode;
  readonly reason: RegExp;
  /** The field at fault, as the .proto names it. */
  readonly field?: string;
  /** What the message has to tell, for a person to find the way out. */
  readonly says: RegExp;
}

/** A UUID that nothing has. */
export const nobody = "00000000-0000-4000-8000-000000000000";

export const get = (service: RestRequest["service"], path: string): RestRequest => ({ service, verb: "GET", path });
export const post = (service: RestRequest["service"], path: string, body: unknown): RestRequest => ({
  service,
  verb: "POST",
  path,
  body,
});

/** A field that breaks a rule. */
export function wrongField(name: string, field: string, says: RegExp, faces: Pick<BadCase, "grpc" | "rest">): BadCase {
  return { name, ...faces, code: "INVALID_ARGUMENT", reason: /^[A-Z][A-Z_]+$/, field, says };
}

/** Something that is not there. */
export function notThere(name: string, reason: RegExp, faces: Pick<BadCase, "grpc" | "rest">): BadCase {
  return { name, ...faces, code: "NOT_FOUND", reason, says: new RegExp(nobody) };
}
