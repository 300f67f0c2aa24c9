import type { JournalRecord, OutputStores, Run, RunEnd, RunExit, RunSpec, SleepListener } from "@headroom/agent";
import { memoryOutputStores } from "@headroom/agent";
import { timestampFromMs, wire } from "@headroom/contracts";
import { type ClockSources, createDeferred } from "@headroom/runtime";
import type { Engine } from "../engine/engine.ts";
import type { SimProcess } from "../engine/sim-process.ts";

/** What others than Headroom take of a machine. */
export interface ForeignUse {
  readonly cores: number;
  readonly memoryMib: number;
  /** Of each card. */
  readonly vramMib: number;
}

export const noUse: ForeignUse = { cores: 0, memoryMib: 0, vramMib: 0 };

export interface MachineShape {
  readonly cpuCores: number;
  readonly memoryMib: number;
  readonly cards: readonly { readonly model: string; readonly vramMib: number }[];
}

/** One command that really ran: the truth that no journal can lose. */
export interface Execution {
  readonly attemptId: string;
  readonly taskId: string;
  readonly process: string;
  readonly fromMs: number;
  /** null: it has not ended. */
  toMs: number | null;
  /** When it really did something: it may have stood still in between. The last one is open while it runs. */
  readonly spans: { readonly fromMs: number; toMs: number | null }[];
}

interface MachineProcess {
  readonly execution: Execution;
  readonly pid: number;
  readonly startToken: string;
  readonly exitCode: number;
  leftMs: number;
  /** null: it stands still. */
  dueMs: number | null;
  onEnd: ((exitCode: number | null, signal: string) => void) | null;
}

interface WrittenRecord {
  readonly record: JournalRecord;
  isSynced: boolean;
}

/**
 * One desktop: what outlives its agent program. Commands run on when the agent dies; a loss of power ends them, and takes with it what was
 * not synced yet.
 */
export class Machine {
  readonly name: string;
  readonly agentId: string;
  /** By which tasks may ask for it; a copy has the seat of its original. */
  readonly seat: string;
  readonly shape: MachineShape;
  readonly executions: Execution[] = [];
  readonly stores: OutputStores = memoryOutputStores();
  readonly #engine: Engine;
  readonly #processes = new Map<number, MachineProcess>();
  #journal: WrittenRecord[] = [];
  /** Everything that was ever written, also what a loss of power took. */
  readonly written: JournalRecord[] = [];
  /** When the end of an attempt was first written, by the world's clock. */
  readonly endWrittenAtMs = new Map<string, number>();
  /** Results that the agent was told are durable, or refused for good, by the world's clock. */
  readonly acked: { readonly attemptId: string; readonly fence: number; readonly atMs: number }[] = [];
  #started = 0;
  /** Of the agent program, on its disk. */
  #starts = 0;
  #isAsleep = false;
  #whenAwake: () => void = () => undefined;
  #sleptFromMs = 0;
  #sleptMs = 0;
  /** When it was suspended, by the world's clock. */
  readonly naps: { readonly fromMs: number; toMs: number | null }[] = [];
  #frozenBySleep: readonly MachineProcess[] = [];
  /** Told before the machine sleeps, where its system tells. */
  sleepListener: SleepListener | null = null;
  /** What its owner uses, and since when, by the world's clock. */
  readonly foreign: (ForeignUse & { readonly fromMs: number })[] = [{ ...noUse, fromMs: 0 }];
  /** Commands take so much of what they asked for, by half: 1 is half of it. */
  overuse = 1;
  /** Only in livelier worlds: in the others more than all of a machine may be used. */
  squeezes = false;
  ownerHold: string | null = null;

  /** Its owner uses so much from now on. */
  ownerUses(use: ForeignUse): void {
    this.foreign.push({ ...use, fromMs: this.#engine.wallMs });
  }

  get #foreignNow(): ForeignUse {
    return this.foreign.at(-1) ?? noUse;
  }

  constructor(engine: Engine, name: string, agentId: string, shape: MachineShape, seat: string = name) {
    this.#engine = engine;
    this.name = name;
    this.agentId = agentId;
    this.seat = seat;
    this.shape = shape;
  }

  /** The agent program begins. */
  countStart(): { readonly agentId: string; readonly starts: number } {
    this.#starts += 1;
    return { agentId: this.agentId, starts: this.#starts };
  }

  /** Another machine with all that is on the disk of this one. */
  copy(name: string): Machine {
    const copy = new Machine(this.#engine, name, this.agentId, this.shape, this.seat);
    copy.#journal = this.#journal.map(({ record }) => ({ record, isSynced: true }));
    copy.#starts = this.#starts;
    return copy;
  }

  get running(): number {
    return this.#processes.size;
  }

  /** Of the command that has the longest to go. */
  get longestLeftMs(): number {
    const { nowMs } = this.#engine;
    return Math.max(0, ...[...this.#processes.values()].map(({ dueMs }) => (dueMs === null ? 0 : dueMs - nowMs)));
  }

  get records(): readonly JournalRecord[] {
    return this.#journal.map(({ record }) => record);
  }

  /** A write that reached the system, and outlives the program; `sync` makes it outlive the machine. */
  write(record: JournalRecord): () => void {
    const written: WrittenRecord = { record, isSynced: false };
    this.#journal.push(written);
    this.written.push(record);
    if (record.kind === "finished" && !this.endWrittenAtMs.has(record.attemptId))
      this.endWrittenAtMs.set(record.attemptId, this.#engine.wallMs);
    // What was taken too late is marked the same way, and has no result.
    if (record.kind === "acked" && this.endWrittenAtMs.has(record.attemptId)) {
      const { attemptId, fence } = record;
      this.acked.push({ attemptId, fence, atMs: this.#engine.wallMs });
    }
    return () => void (written.isSynced = true);
  }

  start(agent: SimProcess, { attemptId, taskId, argv }: RunSpec): Run {
    this.#started += 1;
    const pid = 10_000 + this.#started;
    const { nowMs, wallMs } = this.#engine;
    const execution: Execution = { attemptId, taskId, process: `${pid}`, fromMs: wallMs, toMs: null, spans: [] };
    this.executions.push(execution);
    const [, millis = "100", exitCode = "0"] = argv;
    const process: MachineProcess = {
      execution,
      pid,
      startToken: `${this.name}-${this.#started}`,
      exitCode: Number(exitCode),
      leftMs: Number(millis),
      dueMs: null,
      onEnd: null,
    };
    this.#processes.set(pid, process);
    this.#engine.note(this.name, `runs ${attemptId} (${argv.join(" ")})`);
    const exited = createDeferred<RunExit>();
    const ended = createDeferred<RunEnd>();
    process.onEnd = (exitCode, signal) => {
      // Its agent hears of it, if it is still the one that started it.
      this.#engine.schedule(this.#engine.random.next() * 3, agent, `${this.name}: ${pid} has ended`, () => {
        const exit = { exitCode, signal, endedAtMs: agent.ports.clock.now(), cpuMs: 10 };
        exited.resolve(exit);
        this.#engine.schedule(this.#lingerMs(), agent, `${this.name}: all of ${pid} is gone`, () =>
          ended.resolve({ ...exit, endedAtMs: agent.ports.clock.now(), leftBehind: 0 }),
        );
      });
    };
    this.#thaw(process, nowMs);
    return {
      pid,
      startToken: process.startToken,
      startedAtMs: agent.ports.clock.now(),
      exited: exited.promise,
      ended: ended.promise,
      hasExited: () => !this.#processes.has(pid),
      end: () => this.#signal(process),
      freeze: () => this.#freeze(process),
      thaw: () => this.#thaw(process, this.#engine.nowMs),
    };
  }

  /** Until it is known that nothing is left of a command: two looks, or as long as something cannot be read. */
  #lingerMs(): number {
    const { random } = this.#engine;
    return random.next() * (random.next() < 0.05 ? 20_000 : 30);
  }

  /** Ends what an earlier agent left, if it is still the same. */
  endLeftover(pid: number | null, startToken: string | null): number {
    const process = pid === null ? undefined : this.#processes.get(pid);
    if (process === undefined || process.startToken !== startToken) return 0;
    this.#end(process, null, "SIGKILL");
    return 1;
  }

  /** The machine loses its power: commands are gone, and of the journal's end what had not been synced. */
  losePower(): void {
    this.#endNap();
    for (const process of this.#processes.values()) {
      process.onEnd = null;
      process.execution.toMs = this.#engine.wallMs;
      closeSpan(process.execution, this.#engine.wallMs);
    }
    this.#processes.clear();
    while (this.#journal.at(-1)?.isSynced === false && this.#engine.random.next() < 0.7) this.#journal.pop();
    for (const written of this.#journal) written.isSynced = true;
  }

  /** It is suspended: nothing on it happens, and nothing can be done to what runs there. */
  get isAsleep(): boolean {
    return this.#isAsleep;
  }

  /** The machine is suspended: nothing on it goes on until it wakes. */
  fallAsleep(whenAwake: () => void = () => undefined): void {
    this.#isAsleep = true;
    this.#whenAwake = whenAwake;
    this.#sleptFromMs = this.#engine.nowMs;
    this.naps.push({ fromMs: this.#engine.wallMs, toMs: null });
    this.#frozenBySleep = [...this.#processes.values()].filter(({ dueMs }) => dueMs !== null);
    for (const process of this.#frozenBySleep) this.#freeze(process);
  }

  wake(): void {
    if (!this.#isAsleep) return;
    this.#isAsleep = false;
    this.#endNap();
    this.#whenAwake();
    this.#sleptMs += this.#engine.nowMs - this.#sleptFromMs;
    for (const process of this.#frozenBySleep) this.#thaw(process, this.#engine.nowMs);
    this.#frozenBySleep = [];
  }

  #endNap(): void {
    const last = this.naps.at(-1);
    if (last !== undefined) last.toMs ??= this.#engine.wallMs;
  }

  /** Where a program on it reads the time: as on Linux the steady clock stands still while the machine sleeps, and the boot clock does not. */
  clockSources(process: SimProcess): ClockSources {
    const { nowMs } = this.#engine;
    const sleptBeforeMs = this.#sleptMs;
    return {
      wallMs: () => process.ports.clock.now(),
      steadyMs: () => this.#engine.nowMs - nowMs - (this.#sleptMs - sleptBeforeMs),
      bootMs: () => this.#engine.nowMs,
    };
  }

  /** `asked`: what its attempts take, as far as it is there beside what its owner takes. */
  sample(nowMs: number, asked: readonly wire.AttemptUse[]): wire.Sample {
    const { cpuCores, memoryMib, cards } = this.shape;
    const uses = this.squeezes ? squeezed(asked, this.shape, this.#foreignNow) : asked;
    const usedCpu = uses.reduce((sum, use) => sum + use.cpuMillicores, 0);
    const usedMemory = uses.reduce((sum, use) => sum + use.memoryMib, 0);
    const total = cpuCores * 1_000;
    const foreign = this.#foreignNow;
    return wire.Sample.fromPartial({
      sampledAt: timestampFromMs(nowMs),
      cpuLoad: 10,
      cpuMillicores: { total, available: Math.max(0, total - foreign.cores * 1_000 - usedCpu) },
      memoryMib: { total: memoryMib, available: Math.max(0, memoryMib - foreign.memoryMib - usedMemory) },
      cards: cards.map(({ model, vramMib }, index) => ({
        cardId: `gpu-${index}`,
        index,
        model,
        utilization: 0,
        vramMib: {
          total: vramMib,
          available: Math.max(
            0,
            vramMib -
              foreign.vramMib -
              uses
                .flatMap((use) => use.cards)
                .reduce((sum, card) => sum + (card.cardId === `gpu-${index}` ? card.vramMib : 0), 0),
          ),
        },
      })),
      attempts: [...uses],
    });
  }

  #thaw(process: MachineProcess, nowMs: number): void {
    if (process.dueMs !== null || !this.#processes.has(process.pid)) return;
    if (this.#isAsleep) return;
    process.execution.spans.push({ fromMs: this.#engine.wallMs, toMs: null });
    const dueMs = nowMs + process.leftMs;
    process.dueMs = dueMs;
    this.#engine.schedule(process.leftMs, null, `${this.name}: ${process.pid} comes to its end`, () => {
      if (process.dueMs === dueMs) this.#end(process, process.exitCode, "");
    });
  }

  #freeze(process: MachineProcess): void {
    if (process.dueMs === null) return;
    closeSpan(process.execution, this.#engine.wallMs);
    process.leftMs = Math.max(0, process.dueMs - this.#engine.nowMs);
    process.dueMs = null;
  }

  #signal(process: MachineProcess): void {
    this.#engine.schedule(5 + this.#engine.random.next() * 50, null, `${this.name}: ${process.pid} is ended`, () =>
      this.#end(process, null, "SIGTERM"),
    );
  }

  #end(process: MachineProcess, exitCode: number | null, signal: string): void {
    if (!this.#processes.delete(process.pid)) return;
    closeSpan(process.execution, this.#engine.wallMs);
    process.execution.toMs = this.#engine.wallMs;
    process.onEnd?.(exitCode, signal);
  }
}

function closeSpan({ spans }: Execution, atMs: number): void {
  const last = spans.at(-1);
  if (last !== undefined) last.toMs ??= atMs;
}

/** No machine is used for more than all of it: where too much is asked for, each gets its share of what is left. */
function squeezed(
  uses: readonly wire.AttemptUse[],
  { cpuCores, memoryMib, cards }: MachineShape,
  foreign: ForeignUse,
): readonly wire.AttemptUse[] {
  const share = (left: number, amounts: readonly number[]): number => {
    const sum = amounts.reduce((total, amount) => total + amount, 0);
    return sum <= left ? 1 : Math.max(0, left) / sum;
  };
  const cpu = share(
    (cpuCores - foreign.cores) * 1_000,
    uses.map((use) => use.cpuMillicores),
  );
  const memory = share(
    memoryMib - foreign.memoryMib,
    uses.map((use) => use.memoryMib),
  );
  const used = uses.flatMap((use) => use.cards);
  const ofCard = new Map(
    cards.map(({ vramMib }, index) => {
      const own = used.filter(({ cardId }) => cardId === `gpu-${index}`).map((card) => card.vramMib);
      return [`gpu-${index}`, share(vramMib - foreign.vramMib, own)];
    }),
  );
  if (cpu === 1 && memory === 1 && [...ofCard.values()].every((part) => part === 1)) return uses;
  return uses.map((use) => ({
    ...use,
    cpuMillicores: Math.floor(use.cpuMillicores * cpu),
    memoryMib: Math.floor(use.memoryMib * memory),
    cards: use.cards.map((card) => ({ ...card, vramMib: Math.floor(card.vramMib * (ofCard.get(card.cardId) ?? 1)) })),
  }));
}
