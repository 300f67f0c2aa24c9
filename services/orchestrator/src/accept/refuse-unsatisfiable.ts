import { needsFromWire, wire } from "@headroom/contracts";
import { type FieldViolation, HeadroomError } from "@headroom/rpc";
import { shapeKey } from "@headroom/scheduling";
import type { RegistryPort } from "../registry/port.ts";

const maxViolations = 50;
/** The registry is asked about so many shapes at once. */
const shapesAtOnce = 8;

/**
 * `fail_unsatisfiable`: throws FAILED_PRECONDITION (CAN_NEVER_FIT), naming each task that no agent known could ever take. Throws
 * UNAVAILABLE when the registry cannot be asked: whoever wants to know beforehand is not served by a guess.
 */
export async function refuseUnsatisfiable(registry: Pick<RegistryPort, "explain">, plan: wire.WorkPlan): Promise<void> {
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
  const { explanation } = await registry.explain(needsFromWire(plan.tasks[indexes[0] ?? 0]?.needs), 1);
  if (explanation.verdict !== wire.FleetVerdict.FLEET_VERDICT_NEVER) return [];
  return indexes.map((index) => ({ field: `plan.tasks[${index}].needs`, description: explanation.sentence }));
}
