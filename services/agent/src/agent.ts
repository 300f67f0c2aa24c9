import { hostname } from "node:os";
import { agentTypeWire, type wire } from "@headroom/contracts";
import {
  lifecycle,
  Outage,
  RunLoop,
  silentLogger,
  systemPorts,
  withTimeout,
  type Logger,
  type ManagedService,
  type Ports,
  type Service,
} from "@headroom/runtime";
import { agentParts, type AgentOverrides, type AgentParts } from "./agent-parts.ts";
import type { AgentConfig } from "./config/config.ts";
import { createAdmission } from "./connection/admission.ts";
import { EarlyEndings } from "./early-endings.ts";
import { enrol } from "./enrolment/enrol.ts";
import { createHeartbeat, type Heartbeat } from "./heartbeat/heartbeat.ts";
import { stillListed } from "./heartbeat/still-listed.ts";
import type { AgentStart } from "./home.ts";
import { watchOwnerHold } from "./owner-hold.ts";
import { LastMeasured } from "./sampling/last-measured.ts";
import { createSleeper } from "./sleep/sleeper.ts";
import { agentVersion } from "./version.ts";
import { onceThereIsRoom } from "./wait-for-room.ts";
import { createAttach } from "./work/attach.ts";
import { createMachineRoom } from "./work/machine-room.ts";
import { StallWatch, tickEveryMs } from "./work/stall-watch.ts";
import { Supervisor } from "./work/supervisor.ts";

/** One running agent. */
export interface Agent extends ManagedService {
  /** What is so right now; null before the first start. */
  status(): AgentState | null;
}

export interface AgentState {
  readonly agentId: string;
  /** The registry has welcomed it. */
  readonly isOnline: boolean;
  /** Its work stream is up. */
  readonly isAttached: boolean;
  /** null: the owner does not keep work away. */
  readonly ownerHold: string | null;
  /** Attempts that run. */
  readonly attempts: readonly string[];
}

/** How long a stopping agent waits for its last results to be acknowledged. They are kept and sent at the next start else. */
const deliverLimitMs = 3_000;
/** Peaks of memory are looked for this often. */
const peaksEveryMs = 2_000;
/** A process that is stuck with its memory lock is never measured to the end. */
const measureLimitMs = 5_000;

/** Puts an agent together. It holds nothing, and touches no file, before `start`. */
export function createAgent(config: AgentConfig, overrides: AgentOverrides = {}): Agent {
  let running: RunningAgent | undefined;
  const service = lifecycle({
    name: "agent",
    async start(signal) {
      const { ports = systemPorts, logger = silentLogger } = overrides;
      const { agentDir } = config;
      const endings = new EarlyEndings();
      running = await onceThereIsRoom(() => begin(config, overrides, endings, signal), {
        ports,
        logger,
        agentDir,
        signal,
      });
    },
    async stop(reason) {
      await running?.stop(reason);
      running = undefined;
    },
  });
  return {
    name: service.name,
    start: () => service.start(),
    stop: (reason) => service.stop(reason),
    state: () => service.state(),
    status: () => running?.status() ?? null,
  };
}

async function begin(
  config: AgentConfig,
  overrides: AgentOverrides,
  endings: EarlyEndings,
  signal: AbortSignal,
): Promise<RunningAgent> {
  const parts = agentParts(config, overrides);
  try {
    return await beginWith(config, { ...parts, runner: endings.joinedBy(parts.runner) }, signal);
  } catch (error) {
    await endings.afterFailedStart(error, parts);
    throw error;
  }
}

async function beginWith(config: AgentConfig, parts: AgentParts, signal: AbortSignal): Promise<RunningAgent> {
  let start: AgentStart;
  let { logger } = parts;
  try {
    start = await parts.home.open(logger, signal);
    logger = logger.child({ agent_id: start.agentId });
  } catch (error) {
    parts.connections.close();
    await parts.home.close();
    throw error;
  }
  const started = assemble(config, { ...parts, logger }, start, signal);
  try {
    await started.start();
  } catch (error) {
    // What was begun may take its time to end, and should that fail it would hide why.
    logger.error({ err: error }, "the agent cannot start; what it had begun is being ended");
    await started.giveUp("the start failed");
    throw error;
  }
  return started;
}

/** With a join token the agent first becomes one of the fleet. */
async function join(config: AgentConfig, parts: AgentParts, agentId: string, signal: AbortSignal): Promise<void> {
  const { joinToken, agentDir } = config;
  if (joinToken === null) return;
  const { ports, logger, connections } = parts;
  const { hostname: host, poolName, agentType } = about(config, agentId, "");
  await enrol(
    {
      ports,
      logger,
      agentDir,
      joinToken,
      about: { agentId, hostname: host, poolName, agentType },
      enroll: (request, stopped) => connections.enroll(request, stopped),
    },
    signal,
  );
}

interface RunningAgent extends Service {
  status(): AgentState;
  /** Stops without a wait for what an earlier program left: the next start goes on with it. */
  giveUp(reason: string): Promise<void>;
}

function assemble(
  config: AgentConfig,
  parts: AgentParts,
  { agentId, starts }: AgentStart,
  signal: AbortSignal,
): RunningAgent {
  const { ports, logger, sampler, connections, home, runner } = parts;
  const incarnation = ports.random.uuid();
  const stalls = new StallWatch(ports.clock);
  // Made below; what tells them of changes is needed to make them.
  const late: { heartbeat?: Heartbeat } = {};
  let isLeaving = false;
  const hold = watchOwnerHold({
    read: parts.readOwnerHold,
    ports,
    logger,
    onChange: () => late.heartbeat?.statusChanged(),
  });
  const room = createMachineRoom();
  const isHeldByOwner = (): boolean => hold.current() !== null;
  const supervisor = new Supervisor({
    ...parts,
    maxAttempts: config.maxAttempts,
    room,
    isHeldByOwner,
    lookForHold: () => hold.look(),
    onAttemptsChanged: () => late.heartbeat?.attemptsChanged(),
  });
  const admission = createAdmission(ports.timers);
  const attach = createAttach({
    admission,
    ports,
    logger,
    agentId,
    incarnation,
    supervisor,
    stalls,
    open: () => connections.openAttach(),
    onChange: () => late.heartbeat?.statusChanged(),
  });
  const lastMeasured = new LastMeasured(ports.clock, logger);
  const sampled = limited(ports, "measuring the machine", async () => {
    const sample = stillListed(await sampler.sample(supervisor.listed()), supervisor.listed());
    room.note(sample);
    return sample;
  });
  const measure = async (): Promise<wire.Sample> => {
    const sample = await sampled();
    if (sample === null) throw new Error("an earlier measuring of the machine hangs, and is not joined by another");
    // Not before: one that ends after it was given up is told to nobody.
    lastMeasured.note(sample);
    return sample;
  };
  const heartbeat = createHeartbeat({
    admission,
    ports,
    logger,
    about: about(config, agentId, incarnation),
    starts,
    open: () => connections.openHeartbeat(),
    measure,
    whenUnmeasured: () => lastMeasured.whenUnmeasured(supervisor.listed()),
    evict: (attemptIds) => supervisor.evict(attemptIds),
    isAttached: () => attach.isAttached() && !isLeaving,
    isHeldByOwner,
  });
  late.heartbeat = heartbeat;
  const sleeper = createSleeper({
    ports,
    logger,
    source: parts.sleepSource,
    meter: parts.suspendMeter,
    work: supervisor,
    connections: [attach, heartbeat],
  });
  const ticker = tickLoop(ports, logger, () => {
    // A machine that slept is known before its leases are judged: they stop, and do not end.
    sleeper.tick();
    supervisor.tick(stalls.tick());
  });
  const peaks = peaksLoop(ports, logger, () => sampler.watchPeaks(supervisor.listed()));

  async function stop(reason: string | undefined, leavesLeftovers: boolean): Promise<void> {
    await sleeper.stop();
    // Before the work is ended: it is tried again at once, and must not be placed here again.
    isLeaving = true;
    heartbeat.statusChanged();
    await supervisor.stop(config.stopGraceMs, leavesLeftovers);
    if (attach.isAttached()) await untilDelivered(supervisor, ports);
    // Goodbye after the last result: with it the registry takes everything of this agent for gone.
    await heartbeat.stop(reason);
    await attach.stop(reason);
    await peaks.stop(reason);
    await ticker.stop(reason);
    await hold.stop(reason);
    connections.close();
    await supervisor.close();
    await home.close();
  }

  return {
    status: () => ({
      agentId,
      isOnline: heartbeat.isUp(),
      isAttached: attach.isAttached(),
      ownerHold: hold.current(),
      attempts: supervisor.listed().map((attempt) => attempt.attemptId),
    }),
    async start() {
      await Promise.all([hold.start(), sampler.start(), supervisor.load()]);
      // Not before it is known what may still be in one; and nothing waits for it: millions of files take minutes.
      runner.removeLeft?.(new Set(supervisor.listed().map(({ attemptId }) => attemptId)));
      // Not before what an earlier program left is being ended: a registry that is away keeps whoever joins waiting.
      await join(config, parts, agentId, signal);
      await ticker.start();
      await peaks.start();
      await attach.start();
      await heartbeat.start();
      sleeper.start();
      logger.info({ incarnation, pool: config.pool, agent_dir: config.agentDir }, "the agent runs");
    },
    stop: (reason) => stop(reason, false),
    giveUp: (reason) => stop(reason, true),
  };
}

function tickLoop(ports: Ports, logger: Logger, look: () => void): RunLoop {
  const outage = new Outage(logger, {
    fails: "a look at the leases failed; tried again each second",
    works: "the leases are looked at again",
  });
  return new RunLoop({
    name: "tick",
    ports,
    intervalMs: tickEveryMs,
    errorDelayMs: tickEveryMs,
    run() {
      look();
      outage.worked();
    },
    onError: (error) => outage.failed(error),
  });
}

/** Apart from the ticks: no lease waits for a measuring. */
function peaksLoop(ports: Ports, logger: Logger, watchPeaks: () => Promise<void>): RunLoop {
  const outage = new Outage(logger, {
    fails: "a look at what the attempts use failed; tried again all the time",
    works: "what the attempts use is looked at again",
  });
  const look = limited(ports, "looking for peaks of memory", watchPeaks);
  return new RunLoop({
    name: "peaks",
    ports,
    intervalMs: peaksEveryMs,
    errorDelayMs: peaksEveryMs,
    runAtStart: false,
    async run() {
      // null: the look that was given up hangs on.
      if ((await look()) !== null) outage.worked();
    },
    onError: (error) => outage.failed(error),
  });
}

/** Waits a moment for the results to be acknowledged. Those that are not stay in the journal. */
async function untilDelivered(supervisor: Supervisor, ports: Ports): Promise<void> {
  const late = new Error("not acknowledged in time");
  await withTimeout(ports.timers, deliverLimitMs, supervisor.whenAllAcked(), () => late).catch(() => undefined);
}

/** One call at a time, given up (it rejects) after `measureLimitMs`. Answers null, and does not call, while one that was given up goes on. */
function limited<T>({ timers }: Ports, what: string, action: () => Promise<T>): () => Promise<T | null> {
  const call = oneAtATime(action);
  let isHanging = false;
  return async () => {
    if (isHanging) return null;
    const answer = call();
    const done = (): void => {
      isHanging = false;
    };
    answer.then(done, done);
    return withTimeout(timers, measureLimitMs, answer, () => {
      isHanging = true;
      return new Error(`${what} took longer than ${measureLimitMs} ms`);
    });
  };
}

/** Calls wait for the one before, whoever made it. */
function oneAtATime<T>(action: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return () => {
    const next = last.then(action, action);
    last = next;
    return next;
  };
}

function about(
  config: AgentConfig,
  agentId: string,
  incarnation: string,
): Pick<
  wire.Hello,
  "agentId" | "incarnation" | "version" | "hostname" | "agentType" | "poolName" | "labels" | "platform"
> {
  return {
    agentId,
    incarnation,
    version: agentVersion,
    hostname: hostname().slice(0, 253),
    agentType: agentTypeWire.toWire(config.type),
    poolName: config.pool,
    labels: { ...config.labels },
    platform: `${process.platform} ${process.arch}`,
  };
}
