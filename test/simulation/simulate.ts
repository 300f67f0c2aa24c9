import { findViolations, violationLines } from "../support/invariants/check.ts";
import { checkDelivered } from "../support/invariants/check-delivered.ts";
import { checkFarewells } from "../support/invariants/check-farewells.ts";
import { checkMassLoss } from "../support/invariants/check-mass-loss.ts";
import { checkWaiting } from "../support/invariants/check-waiting.ts";
import type { Facts, Violation } from "../support/invariants/facts.ts";
import type { RealSessions } from "./database/real-sessions.ts";
import { Faults, type FaultCounts } from "./world/faults.ts";
import { findForeignPromised } from "./world/find-foreign.ts";
import { findPromisedAsleep } from "./world/find-promised-asleep.ts";
import { findUnended, findUnheeded, findUnretried } from "./world/find-unheeded.ts";
import { findUnkept } from "./world/find-unkept.ts";
import { findMissed } from "./world/followers.ts";
import type { Acknowledged } from "./world/operator.ts";
import { findDoubleExecutions, findRunsOfLost, readWorld, toldIn } from "./world/read-world.ts";
import type { Configs } from "./world/services.ts";
import { createWorld, type World } from "./world/world.ts";

/** What came of one seed. */
export interface Outcome {
  readonly seed: number;
  /** One line each; empty: all is well. */
  readonly problems: readonly string[];
  /** The last that happened, oldest first. */
  readonly trace: readonly string[];
  /** Of all that happened: the same each time. */
  readonly digest: string;
  readonly events: number;
  readonly virtualMs: number;
  readonly tasks: number;
  readonly faults: FaultCounts;
  /** Their numbers, for shrinking. */
  readonly faultNumbers: readonly number[];
}

export interface SimulateOptions {
  readonly seed: number;
  readonly real: RealSessions;
  readonly configs: Configs;
  /** Of the faults that the seed makes only these, by number; for shrinking. Default: all. */
  readonly onlyFaults?: (number: number) => boolean;
}

/** For how long bad things happen. */
const stormyMs = 120_000;
/** After that nothing bad happens any more, and within this everything must end: leases of 5 minutes, grace, and back-offs in a row. */
const calmMs = 30 * 60_000;
/** By then what was wrong when the bad things were over is so no more; connections of machines that lost their power may take longer. */
const settledAfterMs = 20_000;
const noticedWithinMs = 1_000;
/** The longest that anything may wait with room for it and its turn, at any time; where all must be told by events it is shorter. */
const waitBoundMs = 10 * 60_000;
const toldBoundMs = 3 * 60_000;

/** A registry process follows what others write every second; a slow database makes more of that. */
const toldWithinMs = 8_000;
/** Twice the lease of a claim, and a poll. */
const claimedForMs = 20_000;

/** After all has ended, some more work: nothing disturbs it, so nothing may wait with room for it and its turn for longer than this. */
const probePlans = 4;
const largeProbes = 3;
const probesApartMs = 8_000;
const calmBoundMs = 20_000;
/** Room that is kept for large tasks is given and ended by the poll alone, every ten seconds: what it keeps away waits for several. */
const calmBoundWithPollMs = 45_000;
/** Agents gather what they say for 200 ms; a replica that was not told looks once a second. */
const deliveredWithinMs = 600;
/** How long that work takes: longer than the bound, so that its end does not wake what should have been woken; what polls needs no such care. */
const probesMs = [30_000, 45_000];
const probesWithPollMs = [8_000, 16_000];

const crowdingPlans = 8;

/** Runs the world of one seed to its end, and looks for what must not be. */
export async function simulate(options: SimulateOptions): Promise<Outcome> {
  const { seed, real, configs, onlyFaults = () => true } = options;
  await real.reset(seed);
  const world = createWorld(seed, real, configs);
  const { engine } = world;
  const faults = new Faults(world, onlyFaults);
  const problems: string[] = [];
  try {
    begin(world);
    world.network.links.mendedAtMs = stormyMs;
    faults.plan(stormyMs);
    await engine.run(stormyMs);
    faults.end();
    let isOver = await untilOver(world, real);
    const settledAtMs = Math.max(stormyMs + settledAfterMs, world.deadConnectionsUntilMs + noticedWithinMs);
    await engine.run(Math.max(0, settledAtMs - engine.nowMs));
    const calmFromMs = world.postgres.nowMs;
    if (isOver) {
      const durationsMs = world.looksRarely ? probesMs : probesWithPollMs;
      for (let plan = 1; plan <= probePlans; plan += 1) {
        world.planner.probe({ durationsMs, isSmall: plan > largeProbes });
        // Some meet what others began long enough ago to be measured.
        await engine.run(engine.random.int(0, 1) * probesApartMs);
      }
      isOver = await untilOver(world, real);
    }
    if (!isOver) problems.push(`not everything has ended ${calmMs / 60_000} minutes after the last fault`);
    const facts = await readWorld(world, real.sql, isOver);
    problems.push(
      ...violationLines([
        ...checkWaiting(sinceCalm(facts, calmFromMs), world.looksRarely ? calmBoundMs : calmBoundWithPollMs),
        ...checkDelivered(facts, calmFromMs, deliveredWithinMs),
      ]).map(inCalm),
    );
    // A copy that took over is its agent, and what ran on the original is nobody's: the world is only asked to end.
    const isOneOfEach = !world.copies.tookOver;
    problems.push(
      ...violationLines([...world.copies.violations, ...findMissed(world.followers?.followed ?? [], facts)]),
    );
    if (isOneOfEach)
      problems.push(
        ...violationLines([
          ...findViolations(facts, {
            waitBoundMs: world.looksRarely ? toldBoundMs : waitBoundMs,
            toldWithinMs,
            claimedForMs,
          }),
          ...findDoubleExecutions(world),
          ...findRunsOfLost(world, facts),
          ...findForeignPromised(world, facts),
          ...findUnkept(toldIn(world), facts),
          ...findPromisedAsleep(world, facts),
          ...findUnheeded(acknowledgedIn(world, facts), facts),
          ...findUnretried(acknowledgedIn(world, facts), facts),
          ...world.unended,
          ...findUnended(world, acknowledgedIn(world, facts), facts, world.engine.wallMs - engine.nowMs + settledAtMs),
          ...lossesOf(world, facts, configs, faults.counts),
        ]),
      );
    if (!isOver) problems.push(...(await whatIsLeft(world, real)));
  } catch (error) {
    problems.push(`the world broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  const [counted] = await real.sql<{ tasks: number }>(`SELECT count(*)::int AS tasks FROM orchestrator.tasks`);
  return {
    seed,
    problems,
    trace: engine.trace.lines(),
    digest: engine.trace.digest(),
    events: engine.trace.count,
    virtualMs: engine.nowMs,
    tasks: counted?.tasks ?? 0,
    faults: faults.counts,
    faultNumbers: faults.made,
  };
}

/** What operators and planners were told has been done. */
function acknowledgedIn({ operator, planner }: World, { tasks }: Facts): readonly Acknowledged[] {
  const cancelled = planner.cancelled.flatMap(({ planId, atMs }) =>
    tasks.flatMap((task): Acknowledged[] =>
      task.planId === planId ? [{ kind: "cancelled", taskId: task.taskId, atMs }] : [],
    ),
  );
  return [...(operator?.acknowledged ?? []), ...cancelled];
}

/** While the database is away or slow, what was seen one by one is written at once. */
function lossesOf(
  { fleet, farewells, boots }: World,
  facts: Facts,
  configs: Configs,
  counts: FaultCounts,
): readonly Violation[] {
  if (counts["database down"] !== undefined || counts["database slow"] !== undefined) return [];
  const { offlineGraceMs } = fleet === "quiet" ? configs.hastyRegistry : configs.registry;
  return [
    ...checkMassLoss(facts, { graceMs: offlineGraceMs, isQuiet: fleet === "quiet" }),
    ...checkFarewells(facts, farewells, boots),
  ];
}

/** What waited before is not looked at, what was promised and who was there is. */
function sinceCalm(facts: Facts, fromMs: number): Facts {
  return { ...facts, changes: facts.changes.filter(({ row, atMs }) => row !== "pause" || atMs >= fromMs) };
}

const inCalm = (line: string): string => `${line}, while nothing was wrong`;

function begin({ engine, registries, orchestrators, agents, planner, isCrowded, isCardCrowded }: World): void {
  for (const node of [...registries, ...orchestrators, ...agents]) {
    engine.schedule(engine.random.next() * 2_000, null, `${node.name} is switched on`, () => node.start());
  }
  const plans = engine.random.int(1, 8);
  for (let plan = 0; plan < plans; plan += 1) {
    engine.schedule(engine.random.next() * 90_000, null, "a plan is made", () => planner.submit());
  }
  for (let plan = 0; plan < (isCrowded ? crowdingPlans : 0); plan += 1) {
    engine.schedule(8_000 + engine.random.next() * 60_000, null, "a crowd comes", () => planner.crowd());
  }
  for (let plan = 0; plan < (isCardCrowded ? crowdingPlans : 0); plan += 1) {
    const atMs = 8_000 + engine.random.next() * 60_000;
    engine.schedule(atMs, null, "a crowd comes, with cards", () => planner.crowd("cards"));
  }
}

/** Lets the world go on until all has come to rest. */
async function untilOver(world: World, real: RealSessions): Promise<boolean> {
  const lookEveryMs = 5_000;
  for (let passedMs = 0; passedMs < calmMs; passedMs += lookEveryMs) {
    await world.engine.run(lookEveryMs);
    if (world.planner.unanswered > 0 || operatorOwes(world) > 0 || openStreams(world) > 0) continue;
    if (world.machines.some(({ running }) => running > 0)) continue;
    const [left] = await real.sql<{ open: boolean }>(
      `SELECT EXISTS (SELECT FROM orchestrator.tasks WHERE state NOT IN ('succeeded', 'failed', 'cancelled'))
           OR EXISTS (SELECT FROM registry.reservations WHERE state <> 'released') AS open`,
    );
    if (left?.open === false) return true;
  }
  return false;
}

const operatorOwes = ({ operator }: World): number => operator?.owes ?? 0;
const openStreams = ({ followers }: World): number => followers?.open ?? 0;

async function whatIsLeft(world: World, { sql }: RealSessions): Promise<readonly string[]> {
  const tasks = await sql<{ line: string }>(
    `SELECT format('task %s (%s) is %s: %s %s, it needs %s', t.name, t.task_id, t.state, q.reason, q.reason_detail, t.needs) AS line
       FROM orchestrator.tasks t LEFT JOIN orchestrator.pause_queue q ON q.task_id = t.task_id AND q.status = 'waiting'
      WHERE t.state NOT IN ('succeeded', 'failed', 'cancelled') ORDER BY t.name LIMIT 10`,
  );
  const reservations = await sql<{ line: string }>(
    `SELECT format('room for %s on %s is %s', attempt_id, agent_id, state) AS line FROM registry.reservations
      WHERE state <> 'released' ORDER BY attempt_id LIMIT 10`,
  );
  const running = world.machines.filter((machine) => machine.running > 0);
  return [
    ...[...tasks, ...reservations].map(({ line }) => line),
    ...running.map((machine) => `${machine.name} runs ${machine.running} commands`),
    ...(operatorOwes(world) > 0 ? [`the operator waits for ${operatorOwes(world)} answers`] : []),
    ...(openStreams(world) > 0 ? [`${openStreams(world)} followed plans have not ended for their followers`] : []),
    ...(world.planner.unanswered > 0 ? [`${world.planner.unanswered} plans were never answered`] : []),
  ];
}
