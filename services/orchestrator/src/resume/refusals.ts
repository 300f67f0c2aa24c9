import type { FleetView } from "../fleet-view/fleet-view.ts";
import type { FleetRevision } from "../registry/port.ts";

/**
 * Shapes for which the registry had no room, with the state of the fleet that it decided on. As long as the watch has not told of
 * room that appeared after it, asking again would be answered the same. Only a saving: what is forgotten is asked again.
 */
export interface Refusals {
  note(shapeKey: string, revision: FleetRevision): void;
  stands(shapeKey: string): boolean;
}

const maxShapes = 10_000;

export function createRefusals(fleet: Pick<FleetView, "roomSince">): Refusals {
  const refused = new Map<string, FleetRevision>();
  return {
    note(shapeKey, revision) {
      refused.delete(shapeKey);
      const oldest = refused.size >= maxShapes ? refused.keys().next().value : undefined;
      if (oldest !== undefined) refused.delete(oldest);
      refused.set(shapeKey, revision);
    },
    stands(shapeKey) {
      const revision = refused.get(shapeKey);
      if (revision === undefined) return false;
      if (!fleet.roomSince(revision)) return true;
      refused.delete(shapeKey);
      return false;
    },
  };
}
