/** What the registry would promise to tasks now, all of one draft: what one takes, the next does not get. Nothing is kept. */
import type { ReserveOutcome, ReserveRequest } from "@headroom/contracts";
import { HeadroomError } from "@headroom/rpc";
import type { Logger, Ports } from "@headroom/runtime";
import type { AvoidedAgents } from "../placing/avoided-agents.ts";
import type { KeptRoom } from "../placing/kept-room.ts";
import { type AskedInHalves, askInHalves } from "../registry/ask-in-halves.ts";
import type { RegistryPort, ReserveAnswer } from "../registry/port.ts";
import type { NewTask } from "../store/model.ts";

export interface DryRunOptions {
  readonly registry: Pick<RegistryPort, "reserve">;
  readonly avoided: Pick<AvoidedAgents, "current">;
  readonly kept: Pick<KeptRoom, "avoidedBy">;
  readonly ports: Pick<Ports, "random">;
}

export interface DryRun {
  readonly answered: readonly { readonly task: NewTask; readonly outcome: ReserveOutcome }[];
  /** The registry would not hear of them by themselves. */
  readonly refused: readonly { readonly task: NewTask; readonly error: unknown }[];
  /** Why the registry cannot be asked of the others; null: it was. */
  readonly away: unknown;
}

/** Calls to find the tasks that the registry refuses by themselves: some 25 of 1,000. */
const asksAtMost = 64;

/** Throws what is no word of the registry. */
export async function dryRun(options: DryRunOptions, tasks: readonly NewTask[], logger: Logger): Promise<DryRun> {
  let asked = await ask(options, tasks, logger);
  let { refused } = asked;
  if (refused.length > 0 && asked.unasked === null) {
    // The halves knew nothing of each other: what is left is asked for together once more.
    const out = new Set(refused.map(({ item }) => item));
    asked = await ask(
      options,
      tasks.filter((task) => !out.has(task)),
      logger,
    );
    refused = [...refused, ...asked.refused];
  }
  const answered = asked.answers.flatMap(({ items, answer: { outcomes } }) =>
    items.flatMap((task, index) => {
      const outcome = outcomes[index];
      return outcome === undefined ? [] : [{ task, outcome }];
    }),
  );
  return {
    answered: asked.unasked === null ? answered : [],
    refused: refused.map(({ item, error }) => ({ task: item, error })),
    away: asked.unasked?.error ?? null,
  };
}

async function ask(
  { registry, avoided, kept, ports }: DryRunOptions,
  tasks: readonly NewTask[],
  logger: Logger,
): Promise<AskedInHalves<NewTask, ReserveAnswer>> {
  const leftOut = avoided.current();
  const requestFor = ({ taskId, needs, expectedDurationMs }: NewTask): ReserveRequest => ({
    attemptId: ports.random.uuid(),
    fence: 1,
    needs,
    avoidAgentIds: new Set([...kept.avoidedBy({ taskId, expectedDurationMs }), ...leftOut]),
    kind: "attempt",
    expectedDurationMs,
    taskId,
    planId: "",
  });
  const asked = await askInHalves(
    tasks,
    (batch) => registry.reserve(batch.map(requestFor), { dryRun: true }),
    asksAtMost,
  );
  const errors = [...asked.refused, ...(asked.unasked === null ? [] : [asked.unasked])].map(({ error }) => error);
  const fault = errors.find((error) => !(error instanceof HeadroomError));
  if (fault !== undefined) throw fault;
  if (errors.length > 0) logger.warn({ err: errors.at(-1) }, "the registry could not be asked what would run");
  return asked;
}
