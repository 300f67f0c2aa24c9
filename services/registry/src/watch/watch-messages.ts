/** What a watch sends, in messages that no receiver finds too large: a fleet of 100,000 is some 50 MiB. */
import type { wire } from "@headroom/contracts";
import type { EpochMs } from "@headroom/scheduling";
import type { Fleet, FleetRevision } from "../fleet/fleet.ts";
import type { WatchAnswer } from "../queries/encoded-answers.ts";
import { encodedRow } from "../queries/encoded-rows.ts";

/** Far below the 4 MiB that gRPC receivers take unless told otherwise. */
const MAX_MESSAGE_BYTES = 1_048_576;

export interface WatchPart {
  readonly snapshot: boolean;
  readonly roomAppeared: boolean;
  readonly agentIds: Iterable<string>;
  /** What the reader has been told up to before this part; null: nothing. */
  readonly from: FleetRevision | null;
  /** What the reader knows when it has all messages of this part. */
  readonly to: FleetRevision;
}

/**
 * The part in one message or more. Agents are read when their message is taken, so a slow reader gets a newer state; what
 * changes after that comes with the next part.
 */
export function* watchMessages(fleet: Fleet, part: WatchPart, nowMs: () => EpochMs): Generator<WatchAnswer> {
  let rows: Uint8Array[] = [];
  let removedAgentIds: string[] = [];
  let bytes = 0;
  let isFirst = true;
  const message = (more: boolean): WatchAnswer => {
    const others = {
      // A reader that stops here has not been told all of the new revision yet.
      revision: revisionToWire(more ? (part.from ?? { ...part.to, counter: 0 }) : part.to),
      snapshot: part.snapshot && isFirst,
      removedAgentIds,
      roomAppeared: part.roomAppeared,
      more,
    };
    return { rows, others };
  };
  for (const agentId of part.agentIds) {
    const agent = fleet.get(agentId);
    const row = agent === undefined ? null : encodedRow(agent, nowMs());
    const sizeBytes = (row ?? agentId).length + 8;
    if (bytes > 0 && bytes + sizeBytes > MAX_MESSAGE_BYTES) {
      yield message(true);
      [rows, removedAgentIds, bytes, isFirst] = [[], [], 0, false];
    }
    if (row === null) removedAgentIds.push(agentId);
    else rows.push(row);
    bytes += sizeBytes;
  }
  yield message(false);
}

function revisionToWire({ registryInstance, counter }: FleetRevision): wire.Revision {
  return { registryInstance, counter };
}
