/** The two methods whose answers carry rows that are encoded already; on the wire they are the contract's messages. */
import { wire } from "@headroom/contracts";
import { withRows } from "./encoded-rows.ts";

/** ListAvailableCapacityResponse, its agents as bytes. */
export interface AvailableAnswer {
  readonly rows: readonly Uint8Array[];
  readonly nextPageToken: string;
  readonly totalSize: number;
}

/** WatchCapacityResponse, its agents as bytes. */
export interface WatchAnswer {
  readonly rows: readonly Uint8Array[];
  readonly others: Omit<wire.WatchCapacityResponse, "agents">;
}

const AVAILABLE_AGENTS_FIELD = 1;
const WATCH_AGENTS_FIELD = 3;

export const listAvailableCapacityMethod = {
  ...wire.CapacityServiceService.listAvailableCapacity,
  responseSerialize: ({ rows, nextPageToken, totalSize }: AvailableAnswer): Buffer =>
    withRows(
      AVAILABLE_AGENTS_FIELD,
      rows,
      wire.ListAvailableCapacityResponse.encode({ agents: [], nextPageToken, totalSize }).finish(),
    ),
  responseDeserialize: (_bytes: Buffer): AvailableAnswer => unread(),
};

export const watchCapacityMethod = {
  ...wire.CapacityServiceService.watchCapacity,
  responseSerialize: ({ rows, others }: WatchAnswer): Buffer =>
    withRows(WATCH_AGENTS_FIELD, rows, wire.WatchCapacityResponse.encode({ ...others, agents: [] }).finish()),
  responseDeserialize: (_bytes: Buffer): WatchAnswer => unread(),
};

/** A server writes its answers and never reads them; the type tells the handler what to answer with. */
function unread(): never {
  throw new Error("a server does not read its own answers");
}
