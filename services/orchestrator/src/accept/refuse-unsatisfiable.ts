import { needsFromWire, wire } from "@headroom/contracts";
import { type FieldViolation, HeadroomError, unavailable } from "@headroom/rpc";
import { type Needs, shapeKey } from "@headroom/scheduling";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import { fullStop } from "../present/full-stop.ts";
import type { RegistryPort } from "../registry/port.ts";
import { cannotBeAsked, isAway, refusedAlone } from "../registry/refusal.ts";

const maxViolations = 50;
/** The registry is asked about so many shapes at once. */
const shapesAtOnce = 8;
const retryAfterMs = 1_000;

export interface Judges {
  readonly fleet: Pick<FleetView, "snapshot">;
  readonly registry: Pick<RegistryPort, "explain">;
}

/**
 * `fail_unsatisfiable`: throws FAILED_PRECONDITION (CAN_NEVER_FIT), naming each task that no agent known could ever take. Throws
 * UNAVAILABLE when the registry cannot be asked: whoever wants to know beforehand is not served by a guess.
 */
export async function refuseUnsatisfiable({ fleet, registry }: Judges, plan: wire.WorkPlan): Promise<void> {
  const snapshot = fleet.snapshot();
  if (snapshot.kind === "down") throw cannotTell(snapshot.sentence);
  const shapes = new Map<string, number[]>();
  for (const [index, task] of plan.tasks.entries()) {
    const key = shapeKey(needsFromWire(task.needs));
    shapes.set(key, [...(shapes.get(key) ?? []), index]);
  }
  const violations: FieldViolation[] = [];
  const groups = [...shapes.values()];
  for (let start = 0; start < groups.length && violations.length < maxViolations; start += shapesAtOnce) {
    const judged = groups.slice(start, start + shapesAtOnce).map((indexes) => judge(registry, plan, indexes));
    violations.push(...(await Promise.all(judged)).flat());
  }
  if (violations.length === 0) return;
  throw new HeadroomError({
    code: "FAILED_PRECONDITION",
    reason: "CAN_NEVER_FIT",
    message: `${violations[0]?.field}: ${violations[0]?.description} Ask for less, or leave fail_unsatisfiable out: the task then waits until such an agent joins.`,
    fieldViolations: violations.slice(0, maxViolations),
  });
}

async function judge(
  registry: Pick<RegistryPort, "explain">,
  plan: wire.WorkPlan,
  indexes: readonly number[],
): Promise<FieldViolation[]> {
  const explanation = await explain(registry, needsFromWire(plan.tasks[indexes[0] ?? 0]?.needs));
  if (explanation.verdict !== wire.FleetVerdict.FLEET_VERDICT_NEVER) return [];
  return indexes.map((index) => ({ field: `plan.tasks[${index}].needs`, description: explanation.sentence }));
}

/** What the registry says of our own connection, or of itself, is none of the planner's: neither its deadline nor its token. */
async function explain(registry: Pick<RegistryPort, "explain">, needs: Needs): Promise<wire.CapacityExplanation> {
  try {
    return (await registry.explain(needs, 1)).explanation;
  } catch (error) {
    const tellsNothing = error instanceof HeadroomError && (isAway(error) || refusedAlone(error).mayPass);
    throw tellsNothing ? cannotTell(cannotBeAsked(error), error) : error;
  }
}

function cannotTell(why: string, cause?: unknown): HeadroomError {
  return unavailable(
    "REGISTRY_UNAVAILABLE",
    `${fullStop(why)} Whether the plan can ever run is not known, and nothing was accepted: try again, or leave fail_unsatisfiable out.`,
    retryAfterMs,
    cause,
  );
}
