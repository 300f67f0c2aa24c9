/** An operator: holds and releases, cordons and drains, cancels and retries, and sees to it that whatever was closed is opened again. */
import { wire } from "@headroom/contracts";
import { createClient, HeadroomError, type RpcClient } from "@headroom/rpc";
import type { Engine } from "../engine/engine.ts";
import type { SimProcess } from "../engine/sim-process.ts";
import type { SimNetwork } from "../network/sim-network.ts";
import { orchestratorAddress, registryAddress, simToken } from "./services.ts";
import { traceLogger } from "./trace-logger.ts";

/** Said of what is not there any more, or is so already: no answer to ask for again. */
const settled = new Set(["NOT_FOUND", "FAILED_PRECONDITION", "ALREADY_EXISTS"]);
const wrong = new Set(["INVALID_ARGUMENT", "INTERNAL", "UNIMPLEMENTED"]);
const callMs = { deadlineMs: 5_000 };
/** The network delivers no copy of a call later than this. */
const lastCopyMs = 20_000;
const heldBy = "the operator";

/** What the operator was told has been done, by the database's clock. */
export type Acknowledged =
  | { readonly kind: "cancelled"; readonly taskId: string; readonly atMs: number }
  /** So many of its tasks are back. */
  | { readonly kind: "retried"; readonly planId: string; readonly tasks: number }
  /** `untilMs`: when its release was asked for; not yet: never. */
  | { readonly kind: "held"; readonly planId: string; readonly atMs: number; untilMs: number };

export class Operator {
  readonly acknowledged: Acknowledged[] = [];
  readonly #now: () => number;
  readonly #engine: Engine;
  readonly #process: SimProcess;
  readonly #plans: RpcClient<typeof wire.PlanServiceService>;
  readonly #queue: RpcClient<typeof wire.PauseQueueServiceService>;
  readonly #fleet: RpcClient<typeof wire.FleetServiceService>;
  /** When something was asked for each agent. */
  readonly #words = new Map<string, readonly number[]>();
  #open = 0;

  /** `now`: the database's clock. */
  constructor(engine: Engine, network: SimNetwork, now: () => number) {
    this.#now = now;
    this.#engine = engine;
    this.#process = engine.process("operator");
    const channelTo = (address: string) =>
      network.for(this.#process).channel({
        address,
        ports: this.#process.ports,
        logger: traceLogger(engine, this.#process),
        token: simToken,
      });
    const toOrchestrators = channelTo(orchestratorAddress);
    this.#plans = createClient(wire.PlanServiceService, toOrchestrators);
    this.#queue = createClient(wire.PauseQueueServiceService, toOrchestrators);
    this.#fleet = createClient(wire.FleetServiceService, channelTo(registryAddress));
  }

  /** What has been closed and is not open again, and what was never answered. */
  get owes(): number {
    return this.#open;
  }

  holdPlan(planId: string, forMs: number): void {
    this.#closed(
      `hold ${planId}`,
      forMs,
      async () => {
        await this.#plans.holdPlan({ planId, heldBy, reason: "" }, callMs);
        this.acknowledged.push({ kind: "held", planId, atMs: this.#now(), untilMs: Number.POSITIVE_INFINITY });
      },
      () => {
        for (const one of this.acknowledged) {
          if (one.kind === "held" && one.planId === planId) one.untilMs = Math.min(one.untilMs, this.#now());
        }
        return this.#plans.releasePlan({ planId, releasedBy: heldBy, reason: "" }, callMs);
      },
    );
  }

  holdQueue(forMs: number): void {
    this.#closed(
      "hold the queue",
      forMs,
      () => this.#queue.holdQueue({ heldBy, reason: "" }, callMs),
      () => this.#queue.releaseQueue({ releasedBy: heldBy, reason: "" }, callMs),
    );
  }

  cordon(agentId: string, forMs: number): void {
    this.#closed(
      `cordon ${agentId}`,
      forMs,
      () => {
        this.#noteWord(agentId);
        return this.#fleet.cordonAgent({ agentId, reason: "" }, callMs);
      },
      () => this.#uncordon(agentId),
    );
  }

  /** `onDrained`: told when it is answered, with how to learn whether something else has been said of that agent. */
  drain(agentId: string, forMs: number, deadlineMs: number, onDrained: (isOver: () => boolean) => void): void {
    const deadline = { seconds: Math.floor(deadlineMs / 1_000), nanos: 0 };
    this.#closed(
      `drain ${agentId}`,
      forMs,
      async () => {
        const others = [...(this.#words.get(agentId) ?? [])];
        const askedAtMs = this.#engine.nowMs;
        this.#noteWord(agentId);
        await this.#fleet.drainAgent({ agentId, deadline, reason: "" }, callMs);
        // A copy of what was said before may come after it.
        if (others.some((atMs) => askedAtMs - atMs < lastCopyMs)) return;
        onDrained(() => this.#words.get(agentId)!.length > others.length + 1);
      },
      () => this.#uncordon(agentId),
    );
  }

  #uncordon(agentId: string): Promise<unknown> {
    this.#noteWord(agentId);
    return this.#fleet.uncordonAgent({ agentId }, callMs);
  }

  #noteWord(agentId: string): void {
    this.#words.set(agentId, [...(this.#words.get(agentId) ?? []), this.#engine.nowMs]);
  }

  cancelTask(taskId: string): void {
    this.#untilAnswered(`cancel task ${taskId}`, async () => {
      await this.#plans.cancelTask({ taskId, reason: "" }, callMs);
      this.acknowledged.push({ kind: "cancelled", taskId, atMs: this.#now() });
    });
  }

  retryPlan(planId: string): void {
    const requestId = this.#process.ports.random.uuid();
    this.#untilAnswered(`retry ${planId}`, async () => {
      const answer = await this.#plans.retryPlan({ planId, requestId, reason: "" }, callMs);
      this.acknowledged.push({ kind: "retried", planId, tasks: answer.retriedTasks + answer.restoredTasks });
    });
  }

  /** It is opened again once more: a copy of the call that closed it may have come late, when it was open already. */
  #closed(what: string, forMs: number, close: () => Promise<unknown>, open: () => Promise<unknown>): void {
    this.#untilAnswered(what, close, () => {
      this.#after(forMs, `end of: ${what}`, open, () => this.#after(lastCopyMs, `end of: ${what}, for good`, open));
    });
  }

  #after(forMs: number, what: string, call: () => Promise<unknown>, then?: () => void): void {
    this.#open += 1;
    this.#engine.schedule(forMs, this.#process, what, () => {
      this.#open -= 1;
      this.#untilAnswered(what, call, then);
    });
  }

  #untilAnswered(what: string, call: () => Promise<unknown>, then: () => void = () => undefined): void {
    this.#open += 1;
    const ask = (): void => {
      call().then(
        () => {
          this.#open -= 1;
          this.#engine.note("operator", `${what}: done`);
          then();
        },
        (error: unknown) => {
          if (!(error instanceof HeadroomError) || wrong.has(error.code)) return this.#engine.fail(error);
          this.#engine.note("operator", `${what}: ${error.reason}`, false);
          if (!settled.has(error.code)) return void this.#engine.schedule(1_000, this.#process, `${what}, again`, ask);
          this.#open -= 1;
          // A copy of it may come when that is otherwise: what closes is opened again all the same.
          then();
        },
      );
    };
    this.#process.do(what, ask);
  }
}
