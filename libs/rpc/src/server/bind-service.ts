import type { Implementation, ServiceDefinition } from "../definition.ts";

/** A service definition with its handlers; made by `bindService`. */
export interface BoundService {
  /** `headroom.registry.v1.CapacityService` */
  readonly name: string;
  readonly definition: ServiceDefinition;
  /** By the definition's own keys: `getAgentCapacity`. */
  readonly implementation: Readonly<Record<string, unknown>>;
}

/** Joins a generated service definition with one handler for each of its methods. */
export function bindService<D extends ServiceDefinition>(
  definition: D,
  implementation: Implementation<D>,
): BoundService {
  const names = new Set(Object.values(definition).map((method) => method.path.split("/")[1] ?? ""));
  const [name, ...others] = names;
  if (name === undefined || others.length > 0)
    throw new TypeError("a service definition holds the methods of exactly one service");
  for (const key of Object.keys(definition)) {
    if (typeof implementation[key] !== "function") throw new TypeError(`${name} has no handler for ${key}`);
  }
  return { name, definition, implementation };
}
