/** Of a task that waits: the one sentence that says why, and what would help. */
import { wire } from "@headroom/contracts";
import { dependencySentence, dependencyWayOut } from "../present/dependency-sentence.ts";
import { fullStop } from "../present/full-stop.ts";
import { type Holds, holdSentence, holdWaysOut } from "../present/hold-sentence.ts";
import { orderSentence } from "../present/order-sentence.ts";
import type { InTheWay } from "../present/set-aside-sentence.ts";
import type { GateAnswer } from "../placing/gate.ts";
import type { TaskRecord } from "../store/model.ts";
import type { QueuePlace } from "../store/port.ts";
import type { RegistryWord } from "./ask-registry.ts";

export const placingSentence = "It is being placed right now.";

/** All that is known of why it waits, of about one moment. */
export interface Waiting {
  readonly task: TaskRecord;
  readonly registry: RegistryWord;
  /** Null: it does not wait for room. */
  readonly place: QueuePlace | null;
  /** By the database's clock where it is known. */
  readonly nowMs: number;
  /** How far `place` was counted. */
  readonly countedAtMost: number;
  readonly holds: Holds;
  readonly gate: GateAnswer;
  /** All agents on which it fits are kept for others or left out; null: not so. */
  readonly inTheWay: InTheWay | null;
  /** The gate's, a fraction. */
  readonly threshold: number;
  /** What it depends on and has not succeeded; empty also when it waits for something else. */
  readonly unmet: readonly TaskRecord[];
}

/** What is in the way for itself first; then a hold; then what can never fit; then the gate; then room and order. */
export function waitingSentence(waiting: Waiting): string {
  const { task, registry, place, holds, gate, unmet } = waiting;
  const { pause } = task;
  if (pause === null) return placingSentence;
  const held = holdSentence(holds);
  if (pause.reason === "DEPENDENCY_PENDING") return `${dependencySentence(unmet) || pause.sentence} ${held}`.trim();
  if (held !== "") return held;
  // A row that says HELD after it was released has not been looked at again yet.
  if (pause.reason === "HELD" && place === null) return pause.sentence;
  const laterMs = notBeforeMs(waiting);
  if (laterMs !== null) {
    const when = pause.reason === "RESUME_AFTER" ? "does not start before" : "is tried again at";
    return `It ${when} ${new Date(laterMs).toISOString()}. ${pause.sentence}`.trim();
  }
  const order = place === null ? "" : orderSentence(place, waiting.countedAtMost);
  if (registry.kind === "unavailable") return `${fullStop(registry.sentence)} ${order}`.trim();
  const { verdict, sentence } = registry.capacity.explanation;
  // More room will not help: what the gate says would send the reader the wrong way.
  if (verdict === wire.FleetVerdict.FLEET_VERDICT_NEVER) {
    return `${sentence} It waits until an agent joins on which it fits.`;
  }
  if (gate.kind === "held") return `${fullStop(gate.sentence)} ${order}`.trim();
  if (waiting.inTheWay !== null) return `${waiting.inTheWay.sentence} ${order}`.trim();
  const fits = verdict === wire.FleetVerdict.FLEET_VERDICT_FITS;
  const room = fits ? "There is room for it: it starts when it is its turn." : sentence;
  return `${room} ${order}`.trim();
}

/** Where it fits, and waits all the same: what would help. Empty: nothing is in the way. */
export function whatElseHelps(waiting: Waiting): string {
  const { holds, unmet, gate } = waiting;
  const laterMs = notBeforeMs(waiting);
  return [
    dependencyWayOut(unmet),
    ...holdWaysOut(holds),
    laterMs === null ? "" : `wait until ${new Date(laterMs).toISOString()}`,
    gate.kind === "held" && gate.reason === "FLEET_BELOW_THRESHOLD"
      ? `an agent has to have ${(100 * waiting.threshold).toFixed(0)} % free`
      : "",
    waiting.inTheWay?.wayOut ?? "",
  ]
    .filter((help) => help !== "")
    .join("; ");
}

function notBeforeMs({ task, nowMs }: Waiting): number | null {
  const resumeAfterMs = task.pause?.resumeAfterMs ?? null;
  return resumeAfterMs !== null && resumeAfterMs > nowMs ? resumeAfterMs : null;
}
