import { wire } from "@headroom/contracts";
import { createClient, HeadroomError, type RpcClient } from "@headroom/rpc";
import type { SeededRandom } from "@headroom/testing";
import type { AcceptedFact } from "../../support/invariants/facts.ts";
import type { Engine } from "../engine/engine.ts";
import type { SimProcess } from "../engine/sim-process.ts";
import type { SimNetwork } from "../network/sim-network.ts";
import { orchestratorAddress, simToken } from "./services.ts";
import { traceLogger } from "./trace-logger.ts";

export interface Probe {
  /** One of these for each task. */
  readonly durationsMs: readonly number[];
  /** It fits beside nearly everything: what of it waits is not kept away by its size. */
  readonly isSmall: boolean;
}

/** A plan that was accepted. */
export interface KnownPlan {
  readonly planId: string;
  readonly taskIds: readonly string[];
}

/** What the tasks of a crowd fill first. */
export type Crowd = "cpu" | "cards";

/** What the machines of a world allow to ask for; null: of a world in which nobody asks for it. */
export interface Wishes {
  /** Some machine has two cards. */
  readonly hasTwoCards: boolean;
  /** Some tasks depend on several others, and some ask for one seat. */
  readonly isRicher: boolean;
  /** Labels of the machines that have room for what asks for one of them. */
  readonly seats: readonly string[];
}

/** Submits plans, asks again what was not answered, and now and then cancels one. */
export class Planner {
  readonly accepted: AcceptedFact[] = [];
  /** Told of each that is accepted. */
  onAccepted: (planId: string) => void = () => undefined;
  readonly #engine: Engine;
  readonly #process: SimProcess;
  readonly #client: RpcClient<typeof wire.PlanServiceService>;
  readonly #wishes: Wishes | null;
  readonly #databaseMs: () => number;
  readonly #unanswered = new Set<string>();
  /** By their names. */
  readonly #cancelledAtOnce = new Map<string, () => void>();
  readonly #known: KnownPlan[] = [];
  #plans = 0;

  /** `databaseMs`: the database's clock. */
  constructor(engine: Engine, network: SimNetwork, wishes: Wishes | null, databaseMs: () => number) {
    this.#engine = engine;
    this.#databaseMs = databaseMs;
    this.#wishes = wishes;
    this.#process = engine.process("planner");
    const channel = network.for(this.#process).channel({
      address: orchestratorAddress,
      ports: this.#process.ports,
      logger: traceLogger(engine, this.#process),
      token: simToken,
    });
    this.#client = createClient(wire.PlanServiceService, channel);
  }

  /** Plans that nobody has answered for. */
  get unanswered(): number {
    return this.#unanswered.size;
  }

  submit(): void {
    this.#plans += 1;
    const plan = randomPlan(this.#engine.random, this.#plans);
    this.#submit(this.#wishes === null ? plan : livelier(this.#engine.random, plan, this.#wishes));
  }

  /** Many small tasks that take their time; `wants`: a bit of a card each, or CPU alone. */
  crowd(wants: Crowd = "cpu"): void {
    this.#plans += 1;
    this.#submit(crowdingPlan(this.#engine.random, this.#plans, wants));
  }

  /** One plan more, which is cancelled in the moment in which it is accepted. `before`: just before that. */
  submitAndCancel(before: () => void): void {
    this.submit();
    this.#cancelledAtOnce.set(`plan-${this.#plans}`, before);
  }

  /** Work that fills machines, and cannot fail. */
  probe(probe: Probe): void {
    this.#plans += 1;
    this.#submit(probingPlan(this.#engine.random, this.#plans, probe), true);
  }

  #submit(plan: Partial<wire.WorkPlan>, mustSucceed = false): void {
    const request = wire.DispatchPlanRequest.fromPartial({ requestId: this.#process.ports.random.uuid(), plan });
    this.#unanswered.add(request.requestId);
    this.#process.do(`submits plan ${this.#plans}`, () => this.#dispatch(request, mustSucceed));
  }

  /** Plans whose cancellation was confirmed, by the database's clock. */
  readonly cancelled: { readonly planId: string; readonly atMs: number }[] = [];

  cancelOne(): void {
    // One of the last: what came long ago has ended.
    const one = this.accepted.at(-1 - this.#engine.random.int(0, Math.min(2, Math.max(0, this.accepted.length - 1))));
    if (one === undefined) return;
    this.#process.do("cancels a plan", () => this.#cancel(one.planId));
  }

  #cancel(planId: string): void {
    this.#client.cancelPlan({ planId, reason: "" }, { deadlineMs: 5_000 }).then(
      () => this.cancelled.push({ planId, atMs: this.#databaseMs() }),
      () => undefined,
    );
  }

  /** One of the last that were accepted; null: there is none. */
  recent(random: SeededRandom): KnownPlan | null {
    return this.#known.at(-1 - random.int(0, Math.min(2, Math.max(0, this.#known.length - 1)))) ?? null;
  }

  #dispatch(request: wire.DispatchPlanRequest, mustSucceed: boolean): void {
    this.#client.dispatchPlan(request, { deadlineMs: 5_000 }).then(
      ({ planId, tasks }) => {
        this.#unanswered.delete(request.requestId);
        if (tasks.length > 0) this.#known.push({ planId, taskIds: tasks.map(({ taskId }) => taskId) });
        const { name = "", tasks: asked = [] } = request.plan ?? {};
        this.accepted.push({ planId, tasks: asked.length, name, mustSucceed });
        this.#engine.note("planner", `${request.plan?.name} is accepted as ${planId}`);
        this.onAccepted(planId);
        const before = this.#cancelledAtOnce.get(name);
        if (before === undefined) return;
        before();
        this.#cancel(planId);
      },
      (error: unknown) => {
        const isTransient = error instanceof HeadroomError && !["INVALID_ARGUMENT", "INTERNAL"].includes(error.code);
        if (!isTransient) return this.#engine.fail(error);
        this.#engine.note("planner", `${request.plan?.name} was not answered: ${error.message}`, false);
        this.#engine.schedule(1_000, this.#process, `${request.plan?.name} again`, () =>
          this.#dispatch(request, mustSucceed),
        );
      },
    );
  }
}

function probingPlan(random: SeededRandom, number: number, probe: Probe): Partial<wire.WorkPlan> {
  const pick = <T>(...values: readonly T[]): T => values[random.int(0, values.length - 1)]!;
  const tasks = Array.from({ length: random.int(1, 4) }, (_, index) => {
    const vramGb = probe.isSmall ? 0 : pick(0, 0, 6, 10);
    return {
      name: `p${number}-t${index + 1}`,
      command: { argv: ["work", String(pick(...probe.durationsMs)), "0"] },
      needs: {
        cpuCores: probe.isSmall ? pick(0.5, 1) : pick(1, 2, 3),
        memoryGb: probe.isSmall ? 0.5 : pick(1, 3),
        ...(vramGb > 0 && { gpuVramGb: vramGb }),
      },
    };
  });
  return wire.WorkPlan.fromPartial({ name: `probe-${number}`, tasks });
}

/** Of the memory of a card so little that some more would fit when less than a fifth of it is left. */
const crowdNeeds = {
  cpu: { cpuCores: 0.5, memoryGb: 0.5 },
  cards: { cpuCores: 0.1, memoryGb: 0.25, gpuVramGb: 2 },
} as const;

function crowdingPlan(random: SeededRandom, number: number, wants: Crowd): Partial<wire.WorkPlan> {
  const tasks = Array.from({ length: random.int(3, 6) }, (_, index) => ({
    name: `p${number}-t${index + 1}`,
    command: { argv: ["work", String(random.int(15_000, 30_000)), "0"] },
    needs: crowdNeeds[wants],
    workLease: { seconds: random.int(15, 30), nanos: 0 },
  }));
  return wire.WorkPlan.fromPartial({ name: `crowd-${number}`, tasks });
}

function randomPlan(random: SeededRandom, number: number): Partial<wire.WorkPlan> {
  const pick = <T>(...values: readonly T[]): T => values[random.int(0, values.length - 1)]!;
  const tasks = Array.from({ length: random.int(1, 6) }, (_, index) => {
    const vramGb = pick(0, 0, 0, 8, 20);
    const fails = random.next() < 0.2;
    return {
      name: `p${number}-t${index + 1}`,
      command: { argv: ["work", String(pick(50, 300, 2_000, 15_000)), fails ? "1" : "0"] },
      needs: { cpuCores: pick(0.5, 1, 2, 4), memoryGb: pick(0.5, 2), ...(vramGb > 0 && { gpuVramGb: vramGb }) },
      maxAttempts: pick(1, 2, 3),
      retryOnFailure: random.next() < 0.5,
      ...(index > 0 && random.next() < 0.3 && { dependsOn: [`p${number}-t1`] }),
      // The usual five minutes are long for a world of two.
      ...(random.next() < 0.9 && { workLease: { seconds: pick(15, 30, 60), nanos: 0 } }),
    };
  });
  return wire.WorkPlan.fromPartial({ name: `plan-${number}`, priority: random.int(0, 3), tasks });
}

/** There is room for it on each of the larger machines. */
const seatNeeds = wire.ResourceNeeds.fromPartial({ cpuCores: 2, memoryGb: 2 });

/** Some of its tasks want whole cards, or two, and some run for longer than their lease and the grace after it. */
function livelier(
  random: SeededRandom,
  plan: Partial<wire.WorkPlan>,
  { hasTwoCards, isRicher, seats }: Wishes,
): Partial<wire.WorkPlan> {
  const names = (plan.tasks ?? []).map(({ name }) => name);
  const tasks = (plan.tasks ?? []).map((task, index): wire.TaskSpec => {
    const kind = random.next();
    const needs = { ...(task.needs ?? wire.ResourceNeeds.create()) };
    if (kind < 0.1) Object.assign(needs, { gpuCount: 1, gpuVramGb: 0 });
    else if (kind < 0.2 && hasTwoCards) Object.assign(needs, { gpuCount: 2, gpuVramGb: random.next() < 0.5 ? 0 : 4 });
    const isLong = random.next() < 0.1;
    const seat = isRicher && random.next() < 0.15 ? seats[random.int(0, seats.length - 1)] : undefined;
    const waitsForSeveral = isRicher && index > 1 && random.next() < 0.4;
    return {
      ...task,
      needs: seat === undefined ? needs : { ...seatNeeds, labels: { seat } },
      ...(isRicher && random.next() < 0.12 && { waitTimeout: { seconds: random.int(5, 60), nanos: 0 } }),
      ...(waitsForSeveral && { dependsOn: names.slice(random.int(0, index - 2), index) }),
      ...(isLong && {
        command: {
          ...(task.command ?? wire.Command.create()),
          argv: ["work", String(random.int(60_000, 120_000)), "0"],
        },
        workLease: { seconds: 15, nanos: 0 },
      }),
    };
  });
  return { ...plan, tasks };
}
