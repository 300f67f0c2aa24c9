import type { Logger } from "@headroom/runtime";
import {
  type GateAgentVerdict,
  type GateSummary,
  type Needs,
  needsGpu,
  type PauseReason,
  shouldPause,
} from "@headroom/scheduling";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import { queueHoldSentence } from "../operate/queue-hold-view.ts";
import type { HoldRecord } from "../store/model.ts";

/** The gate's word on one kind of task (R-PAUSE-1, R-PAUSE-2). */
export type GateAnswer =
  | { readonly kind: "open"; readonly verdict: GateSummary }
  | {
      readonly kind: "held";
      readonly reason: PauseReason;
      readonly sentence: string;
      readonly verdict: GateSummary | null;
    };

export interface Gate {
  /** `task` null: judged on anything an agent has. */
  ask(task: Pick<Needs, "gpuCount"> | null): GateAnswer;
  /**
   * The same for a task that is about to be placed, but GPU work passes while no online agent has a GPU: there is nothing to hold
   * back, and the registry, which knows the agents that are away too, says better than a threshold why it cannot run.
   */
  askForPlacing(task: Pick<Needs, "gpuCount">): GateAnswer;
  /** What the answer to `ask` rests on: each online agent's part in it. */
  perAgent(task: Pick<Needs, "gpuCount"> | null): readonly GateAgentVerdict[];
  readonly threshold: number;
}

/** `queueHold`: an operator's hold on everything comes before all figures. */
export function createGate(
  fleet: Pick<FleetView, "snapshot">,
  threshold: number,
  queueHold: () => HoldRecord | null = () => null,
): Gate {
  const ask = (task: Pick<Needs, "gpuCount"> | null): GateAnswer => {
    const hold = queueHold();
    const answer = askFleet(task);
    return hold === null
      ? answer
      : { kind: "held", reason: "HELD", sentence: queueHoldSentence(hold), verdict: answer.verdict };
  };
  const askFleet = (task: Pick<Needs, "gpuCount"> | null): GateAnswer => {
    const snapshot = fleet.snapshot();
    if (snapshot.kind === "down") {
      return { kind: "held", reason: "REGISTRY_UNAVAILABLE", sentence: snapshot.sentence, verdict: null };
    }
    const verdict = snapshot.verdict(task);
    if (verdict.reason === null) return { kind: "open", verdict };
    return { kind: "held", reason: verdict.reason, sentence: gateSentence(verdict, task), verdict };
  };
  return {
    threshold,
    ask,
    askForPlacing(task) {
      const answer = ask(task);
      if (answer.kind === "open" || answer.verdict === null || answer.reason === "HELD") return answer;
      return lacksGpus(answer.verdict, task) ? { kind: "open", verdict: answer.verdict } : answer;
    },
    perAgent(task) {
      const snapshot = fleet.snapshot();
      return snapshot.kind === "down" ? [] : shouldPause({ agents: snapshot.gateAgents(), threshold, task }).perAgent;
    },
  };
}

/** Agents are online, the task wants a GPU, and none of them has one. */
function lacksGpus(verdict: GateSummary, task: Pick<Needs, "gpuCount"> | null): boolean {
  return verdict.agentsOnline > 0 && task !== null && needsGpu(task) && verdict.averageGpuFreePercent === null;
}

/** The verdict with its figures, for a person. */
export function gateSentence(verdict: GateSummary, task: Pick<Needs, "gpuCount"> | null): string {
  const { agentsOnline, agentsBelow, averageCpuFreePercent, averageGpuFreePercent, threshold } = verdict;
  if (agentsOnline === 0) return "No desktop is online.";
  if (lacksGpus(verdict, task)) return "No online agent has a GPU to give.";
  const gpu = averageGpuFreePercent === null ? "" : `, GPU ${averageGpuFreePercent.toFixed(0)} %`;
  const free = `free on average: CPU ${averageCpuFreePercent.toFixed(0)} %${gpu}`;
  const least = `${(100 * threshold).toFixed(0)} %`;
  if (verdict.pause) {
    const all = agentsOnline === 1 ? "The only online agent has" : `All ${agentsOnline} online agents have`;
    return `${all} less than ${least} free (${free}).`;
  }
  return `${agentsOnline - agentsBelow} of ${agentsOnline} online agents have at least ${least} free (${free}).`;
}

/** R-PAUSE-3: each decision with its figures. */
export function logDecision(
  logger: Logger,
  answer: GateAnswer,
  judged: "cpu" | "gpu" | "anything",
  tasks: number,
): void {
  const { verdict } = answer;
  logger.info(
    {
      judged,
      tasks,
      should_pause: answer.kind === "held",
      reason: answer.kind === "held" ? answer.reason : null,
      agents_online: verdict?.agentsOnline ?? null,
      agents_below: verdict?.agentsBelow ?? null,
      average_cpu_free_percent: rounded(verdict?.averageCpuFreePercent),
      average_gpu_free_percent: rounded(verdict?.averageGpuFreePercent),
      threshold: verdict?.threshold ?? null,
    },
    answer.kind === "held" ? "capacity checked: pause" : "capacity checked: go",
  );
}

/**
 * R-PAUSE-3 where the gate is asked again, of work that it has let through a moment before and whose decision is logged: told is what differs from that,
 * once until it changes, however many batches hear the same.
 */
export class ChangedDecisions {
  readonly #logger: Logger;
  readonly #told = new Map<"cpu" | "gpu", PauseReason | null>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  note(answer: GateAnswer, judged: "cpu" | "gpu", tasks: number): void {
    const reason = answer.kind === "held" ? answer.reason : null;
    if (reason === (this.#told.get(judged) ?? null)) return;
    this.#told.set(judged, reason);
    logDecision(this.#logger, answer, judged, tasks);
  }
}

function rounded(percent: number | null | undefined): number | null {
  return percent === null || percent === undefined ? null : Math.round(percent * 10) / 10;
}
