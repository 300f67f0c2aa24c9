import {
  type Agent,
  createAgent,
  type JournalRecord,
  loadAgentConfig,
  memoryJournal,
  memoryOutputStores,
  type ProcessRunner,
  type Run,
  type RunEnd,
  silentSleepSource,
} from "@headroom/agent";
import { wire } from "@headroom/contracts";
import { createChannel, createClient, HeadroomError, type DuplexStream } from "@headroom/rpc";
import { silentLogger, systemPorts } from "@headroom/runtime";
import type { Random } from "@headroom/runtime";

/** A real agent whose commands are only pretended, with a wire that can be cut and that can say a result twice or not at all. */
export interface Desktop {
  readonly agentId: string;
  /** Its journal, over all starts: what really ran. */
  readonly records: readonly JournalRecord[];
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Both streams break, and no other comes through, until `restore`. */
  cut(): void;
  restore(): void;
  isCut(): boolean;
  /** Commands that run at the moment. */
  running(): number;
  /** Of the next results so many are each sent twice. */
  doubleResults(count: number): void;
  /** The streams break in place of sending the next result. */
  loseNextResult(): void;
  /** Says again, under the fence of that time, every result it has ever said. */
  repeatOldResults(): void;
}

export interface DesktopOptions {
  readonly dir: string;
  readonly token: string;
  readonly registry: string;
  readonly orchestrator: string;
  readonly cpuCores: number;
  readonly gpuVramGb: number | null;
  readonly random: Random;
}

/** No process of Linux has such a number: whoever looked one up would find nothing. */
const firstPid = 5_000_000;

export async function createDesktop(options: DesktopOptions): Promise<Desktop> {
  const agentId = systemPorts.random.uuid();
  const journal = memoryJournal();
  const stores = memoryOutputStores();
  const runner = pretendingRunner(options.random);
  const streams = new Set<Breakable>();
  const said: wire.AttachRequest[] = [];
  let say: (message: wire.AttachRequest) => void = () => undefined;
  let isCut = false;
  let doubled = 0;
  let losesNext = false;
  let agent: Agent | null = null;

  const config = await loadAgentConfig({
    env: {
      HEADROOM_DATA_DIR: options.dir,
      HEADROOM_TOKEN: options.token,
      HEADROOM_REGISTRY_ADDR: options.registry,
      HEADROOM_ORCHESTRATOR_ADDR: options.orchestrator,
      HEADROOM_AGENT_DECLARE_CPU_CORES: String(options.cpuCores),
      HEADROOM_AGENT_DECLARE_MEMORY_GB: "16",
      HEADROOM_AGENT_DECLARE_GPUS: options.gpuVramGb === null ? "none" : `RTX 4090:${options.gpuVramGb}`,
      HEADROOM_AGENT_STOP_GRACE_SECONDS: "0.5",
    },
  });

  function breakStreams(): void {
    for (const stream of streams)
      stream.fail(new HeadroomError({ code: "UNAVAILABLE", reason: "CUT", message: "cut" }));
  }

  function kept<In, Out>(stream: DuplexStream<In, Out>): DuplexStream<In, Out> {
    const brake: Breakable = { fail: (error) => stream.fail(error) };
    streams.add(brake);
    return delegating(stream, {
      onClose: (handler) =>
        stream.onClose((error) => {
          streams.delete(brake);
          handler(error);
        }),
    });
  }

  function open<T>(address: string, of: (channel: ReturnType<typeof createChannel>) => T): Promise<() => T> {
    if (isCut) {
      return Promise.reject(new HeadroomError({ code: "UNAVAILABLE", reason: "CUT", message: "the wire is cut" }));
    }
    const channel = createChannel({ address, ports: systemPorts, logger: silentLogger, token: options.token });
    return Promise.resolve(() => of(channel));
  }

  function withFaults(
    stream: DuplexStream<wire.AttachResponse, wire.AttachRequest>,
  ): DuplexStream<wire.AttachResponse, wire.AttachRequest> {
    say = (message) => void stream.send(message);
    return delegating(stream, {
      send(message) {
        if (message.message?.$case !== "finished") return stream.send(message);
        said.push(message);
        if (losesNext) {
          losesNext = false;
          breakStreams();
          return false;
        }
        if (doubled > 0) {
          doubled -= 1;
          stream.send(message);
        }
        return stream.send(message);
      },
    });
  }

  let starts = 0;
  return {
    agentId,
    records: journal.records,
    async start() {
      agent = createAgent(config, {
        sleepSource: silentSleepSource,
        journal,
        stores,
        runner: runner.port,
        home: {
          open() {
            starts += 1;
            return Promise.resolve({ agentId, starts });
          },
          close: () => Promise.resolve(),
        },
        connections: {
          openHeartbeat: () =>
            open(options.registry, (channel) => kept(createClient(wire.AgentServiceService, channel).heartbeat())),
          openAttach: () =>
            open(options.orchestrator, (channel) =>
              withFaults(kept(createClient(wire.WorkServiceService, channel).attach())),
            ),
          enroll: () => Promise.reject(new Error("a desktop of the model has its token")),
          close: () => undefined,
        },
      });
      await agent.start();
    },
    async stop() {
      await agent?.stop();
      agent = null;
    },
    cut() {
      isCut = true;
      breakStreams();
    },
    restore() {
      isCut = false;
    },
    isCut: () => isCut,
    running: () => runner.running(),
    doubleResults(count) {
      doubled += count;
    },
    loseNextResult() {
      losesNext = true;
    },
    repeatOldResults() {
      for (const message of said) say(message);
    },
  };
}

type Breakable = Pick<DuplexStream<never, never>, "fail">;

/** A stream that is as `stream` is, but for what is given. */
function delegating<In, Out>(
  stream: DuplexStream<In, Out>,
  own: Partial<DuplexStream<In, Out>>,
): DuplexStream<In, Out> {
  return {
    onMessage: (handler) => stream.onMessage(handler),
    onPeerEnd: (handler) => stream.onPeerEnd(handler),
    onClose: (handler) => stream.onClose(handler),
    onDrain: (handler) => stream.onDrain(handler),
    send: (message) => stream.send(message),
    end: () => stream.end(),
    fail: (error) => stream.fail(error),
    ...own,
  };
}

/** Commands that take 10 to 300 ms; the argument "fail" makes one end with 1. Told to end, they end at once. */
function pretendingRunner(random: Random): { readonly port: ProcessRunner; running(): number } {
  let started = 0;
  let running = 0;
  const port: ProcessRunner = {
    start({ argv }) {
      started += 1;
      running += 1;
      const { clock, timers } = systemPorts;
      let finish: (exitCode: number | null, signal: string) => void = () => undefined;
      const ended = new Promise<RunEnd>((resolve) => {
        finish = (exitCode, signal) => {
          finish = () => undefined;
          running -= 1;
          resolve({ exitCode, signal, endedAtMs: clock.now(), cpuMs: 1, leftBehind: 0 });
        };
      });
      timers.after(10 + random.next() * 290, () => finish(argv.includes("fail") ? 1 : 0, ""));
      const run: Run = {
        pid: firstPid + started,
        startToken: `pretended-${started}`,
        startedAtMs: clock.now(),
        exited: ended,
        ended,
        hasExited: () => false,
        end: () => finish(null, "SIGTERM"),
        freeze: () => undefined,
        thaw: () => undefined,
      };
      return Promise.resolve({ kind: "started", run });
    },
    endLeftover: () => Promise.resolve(0),
  };
  return { port, running: () => running };
}
