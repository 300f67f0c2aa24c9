import type { Clock, Counter, Logger, Timers } from "@headroom/runtime";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import { type Gate, type GateAnswer, logDecision } from "../placing/gate.ts";
import type { AvoidedAgents } from "../placing/avoided-agents.ts";
import type { ClaimEnds } from "../placing/claim-ends.ts";
import type { KeptRoom } from "../placing/kept-room.ts";
import type { Held, Placed, Placer } from "../placing/placer.ts";
import type { QueueHead } from "../store/model.ts";
import type { Claimer, OrchestratorStore } from "../store/port.ts";
import { HeadsAhead } from "./heads-ahead.ts";
import { HeadsOfQueue } from "./heads-of-queue.ts";
import { OwnLook } from "./own-look.ts";
import type { Refusals } from "./refusals.ts";
import type { Stamper } from "./stamper.ts";
import type { StillNever } from "./still-never.ts";
import { takeTurns } from "./take-turns.ts";

export interface ResumerOptions {
  readonly store: OrchestratorStore;
  readonly fleet: Pick<FleetView, "asOf" | "refresh" | "roomFor" | "roomSince" | "draft">;
  readonly gate: Gate;
  readonly placer: Placer;
  readonly refusals: Refusals;
  readonly kept: Pick<KeptRoom, "avoidedBy" | "isAnyInForce" | "refresh" | "keepFor">;
  readonly avoided: Pick<AvoidedAgents, "current">;
  readonly stamper: Stamper;
  readonly stillNever: StillNever;
  readonly claimer: Claimer;
  readonly claimEnds: Pick<ClaimEnds, "note">;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly planChanged: (planId: string) => void;
  readonly metrics: { readonly passes: Counter<"result">; readonly resumed: Counter };
}

export interface PassRequest {
  /** Null: of all plans. */
  readonly planId: string | null;
  readonly cause: string;
  /**
   * Trusts nothing that was heard: tries the head of every shape (of 1,000 in turns, where there are more), whatever the watch says of
   * room, and says of all that waits when it was checked. Else the pass answers an event, and its work does not grow with the queue.
   */
  readonly thorough: boolean;
  /** The pass answers room that has appeared, and may fill only that of these agents; absent: any room, whatever the reason. */
  readonly isMeant?: (agentId: string) => boolean;
  readonly signal: AbortSignal;
}

export interface PassResult {
  readonly resumed: number;
  /** Of them, those that a replica which is gone had begun to place. */
  readonly takenOver: number;
  /** What still waits; of a pass that answers an event at most `countedAtMost`. */
  readonly waiting: number;
  readonly endedAt: "registry away" | "done" | "stopped";
  /**
   * A registry process that is behind has refused what there may be room for, or somebody keeps a plan locked: worth another look, for no event tells when
   * that is over.
   */
  readonly isRefusedInVain: boolean;
}

/** One pass over the queue (R-PAUSE-6). */
export interface Resumer {
  pass(request: PassRequest): Promise<PassResult>;
  /** Room is about to appear: what a pass needs first is read meanwhile. */
  expectRoom(): void;
}

const largestClaim = 500;
/** A pass that answers an event does not count a long queue to its end. */
export const countedAtMost = 1_000;
/** Of the shapes that the gate holds an event stamps the first. */
const stampedByEvent = 1_000;
/** A pass that had to go on longer than this gives way: the loop begins another one at once. */
const maxRounds = 1_000;

export function createResumer(given: ResumerOptions): Resumer {
  const options = { ...given, ownLook: new OwnLook(given.fleet, given.logger) };
  const queue = new HeadsOfQueue(options.store);
  const ahead = new HeadsAhead(queue, options.clock);
  let running = 0;
  return {
    async pass(request) {
      running += 1;
      try {
        const result = await runPass(options, request, queue, ahead);
        options.metrics.passes.inc({ result: "ok" });
        return result;
      } catch (error) {
        // What it had claimed may be claimed still.
        options.claimEnds.note();
        options.metrics.passes.inc({ result: "error" });
        throw error;
      } finally {
        running -= 1;
      }
    },
    expectRoom() {
      // Passes that follow each other have no time to win.
      if (running === 0) ahead.expect();
    },
  };
}

interface PassOptions extends ResumerOptions {
  readonly ownLook: OwnLook;
}

async function runPass(
  options: PassOptions,
  request: PassRequest,
  queue: HeadsOfQueue,
  ahead: HeadsAhead,
): Promise<PassResult> {
  const { store } = options;
  // Room that appears makes no orphans.
  const orphans = request.isMeant === undefined ? await resumeOrphans(options, request) : 0;
  // Rows that fall due have a timer of their own.
  if (request.isMeant === undefined) await store.ripen();
  const early = request.isMeant === undefined ? [] : await ahead.take();
  const first = early.length === 0 ? nothing : await lookAt(options, request, early, noShapes);
  const rounds = first.endedAt === "done" ? await lookAtOthers(options, request, queue, early, first) : first;
  const resumed = rounds.resumed + orphans;
  options.metrics.resumed.inc(resumed);
  const waiting = await countAndLog(options, request, resumed);
  const { endedAt, isRefusedInVain } = rounds;
  return { resumed, takenOver: orphans, waiting, endedAt, isRefusedInVain };
}

type Rounds = Awaited<ReturnType<typeof takeTurns>>;

const noShapes: ReadonlySet<string> = new Set();

const nothing: Rounds = { resumed: 0, endedAt: "done", isRefusedInVain: false, refused: [] };

/** Shapes of which there was nothing yet when the heads were read ahead; mostly none. Of the others the claims have taken what is there by now. */
async function lookAtOthers(
  options: PassOptions,
  request: PassRequest,
  queue: HeadsOfQueue,
  early: readonly QueueHead[],
  first: Rounds,
): Promise<Rounds> {
  const seen = new Set(early.map(({ shapeKey }) => shapeKey));
  const heads = (await queue.read(request.planId)).filter(({ shapeKey }) => !seen.has(shapeKey));
  const rounds = await lookAt(options, request, heads, request.thorough ? queue.turnOf(heads) : noShapes);
  return {
    ...rounds,
    resumed: first.resumed + rounds.resumed,
    isRefusedInVain: first.isRefusedInVain || rounds.isRefusedInVain,
  };
}

/** Takes of these heads' shapes what the gate lets through and there may be room for; of `tried` whatever was heard of room. */
async function lookAt(
  options: PassOptions,
  request: PassRequest,
  heads: readonly QueueHead[],
  tried: ReadonlySet<string>,
): Promise<Rounds> {
  const { stamper } = options;
  const { open, held } = await judge(options, request, heads);
  const stamped = request.thorough
    ? held.filter(({ head }) => tried.has(head.shapeKey))
    : held.slice(0, stampedByEvent);
  await stamper.stamp(new Map(stamped.map((one) => [one.head.shapeKey, toldOf(options, one)])), request);
  // The task that an agent is kept for may have been cancelled.
  if (request.thorough || (request.isMeant === undefined && options.kept.isAnyInForce())) await options.kept.refresh();
  const turns = { ...options, tell: (placed: Placed) => tell(options, placed), maxRounds };
  const rounds = await takeTurns(turns, request, open, tried);
  if (request.thorough && request.planId === null) {
    // What a busy fleet's gate holds is overtaken in the moments in which it is open: by whatever is small enough.
    const busy = held.filter(({ answer }) => answer.reason === "FLEET_BELOW_THRESHOLD").map(({ head }) => head);
    await options.kept.keepFor([...rounds.refused, ...busy]);
  }
  // Work does not wait for words: what is found is said by the next poll.
  if (request.thorough && rounds.endedAt === "done") await askAboutNever(options, request, held);
  return rounds;
}

/** Where the fleet is too busy: while nobody is online nobody has come who could, and what is on hold is not looked at. */
async function askAboutNever(
  { stillNever }: ResumerOptions,
  request: PassRequest,
  held: readonly HeldHead[],
): Promise<void> {
  const busy = held.filter(({ answer }) => answer.reason === "FLEET_BELOW_THRESHOLD");
  const kinds = new Set(busy.map(({ head }) => head.usesGpu));
  const heads = busy.map(({ head }) => head);
  if (kinds.size > 0) await stillNever.ask(request, ({ usesGpu }) => kinds.has(usesGpu), heads);
}

/** That the fleet is busy is the wrong word on what no agent could ever take. */
function toldOf({ stillNever }: ResumerOptions, { head, answer }: HeldHead): Held {
  const isBusy = answer.reason === "FLEET_BELOW_THRESHOLD";
  return (isBusy ? stillNever.verdictOn(head.shapeKey) : null) ?? answer;
}

async function countAndLog(options: ResumerOptions, request: PassRequest, resumed: number): Promise<number> {
  const { store, logger } = options;
  const waiting = await store.countWaiting(request.planId, request.thorough ? null : countedAtMost + 1);
  const fields = {
    resumed,
    waiting,
    cause: request.cause,
    ...(request.planId !== null && { plan_id: request.planId }),
  };
  const counted = !request.thorough && waiting > countedAtMost ? `more than ${countedAtMost}` : `${waiting}`;
  const news = `resumed ${resumed}, ${counted} still waiting`;
  // A pass over an empty queue, every ten seconds, is no news; nor is an event that gave nothing.
  if (resumed > 0 || (request.thorough && waiting > 0)) logger.info(fields, news);
  else logger.debug(fields, news);
  return waiting;
}

interface HeldHead {
  readonly head: QueueHead;
  readonly answer: Extract<GateAnswer, { readonly kind: "held" }>;
}

/** One verdict for tasks that use a GPU and one for those that do not: that is all the gate tells apart. */
async function judge(
  options: PassOptions,
  { planId, thorough }: PassRequest,
  heads: readonly QueueHead[],
): Promise<{ readonly open: readonly QueueHead[]; readonly held: readonly HeldHead[] }> {
  if (heads.length === 0) return { open: [], held: [] };
  const due = thorough ? await options.store.countDue(planId) : null;
  if (thorough) await options.ownLook.beginPoll();
  const open: QueueHead[] = [];
  const held: HeldHead[] = [];
  for (const usesGpu of [false, true]) {
    const ofKind = heads.filter((head) => head.usesGpu === usesGpu);
    if (ofKind.length === 0) continue;
    const answer = await askGate(options, usesGpu, thorough);
    const tasks = due === null ? ofKind.length : usesGpu ? due.gpuTasks : due.cpuTasks;
    logDecision(options.logger, answer, usesGpu ? "gpu" : "cpu", tasks);
    if (answer.kind === "open") open.push(...ofKind);
    else held.push(...ofKind.map((head) => ({ head, answer })));
  }
  return { open, held };
}

/** What the gate holds on the strength of what the watch has told, the poll asks the registry about: the watch may tell nothing any more. */
async function askGate({ gate, ownLook }: PassOptions, usesGpu: boolean, thorough: boolean): Promise<GateAnswer> {
  const task = { gpuCount: usesGpu ? 1 : 0 };
  const answer = gate.askForPlacing(task);
  if (answer.kind === "open" || !thorough) return answer;
  await ownLook.look();
  return gate.askForPlacing(task);
}

/** Tasks whose replica died between accepting and placing them. */
async function resumeOrphans(options: ResumerOptions, { planId, signal }: PassRequest): Promise<number> {
  let resumed = 0;
  for (let round = 0; round < maxRounds && !signal.aborted; round += 1) {
    const claimed = await options.store.claimOrphans(options.claimer, largestClaim, planId);
    if (claimed.length === 0) break;
    options.logger.warn(
      { tasks: claimed.length },
      "tasks whose orchestrator stopped before it placed them are taken over",
    );
    const placed = await options.placer.place(claimed, "resume-loop");
    tell(options, placed);
    if (placed.assigned.length + placed.parked.length < claimed.length) options.claimEnds.note();
    resumed += placed.assigned.length;
  }
  return resumed;
}

function tell(options: ResumerOptions, placed: Placed): void {
  for (const planId of new Set([...placed.assigned, ...placed.parked].map((one) => one.planId)))
    options.planChanged(planId);
}
