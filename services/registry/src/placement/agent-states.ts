/**
 * The agents that take work, in the states that placement compares. Kept in step with the fleet, and for the time of a draft with what the
 * draft changes: whatever it has put stands until the next look, when the fleet's own record takes its place again.
 */
import {
  agentFacts,
  type AgentView,
  isOpenForWork,
  MachineKinds,
  type MachineOf,
  StateSlots,
} from "@headroom/scheduling";
import { viewOf } from "../fleet/agent-views.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { Draft } from "../reservations/draft.ts";

interface Known {
  readonly view: AgentView;
  readonly machine: MachineOf;
}

export class AgentStates {
  readonly slots = new StateSlots();
  readonly #fleet: Fleet;
  readonly #kinds = new MachineKinds();
  readonly #known = new Map<string, Known>();
  readonly #pending = new Set<string>();
  /** Agents that stand here as a draft has them. */
  readonly #drafted = new Set<string>();

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    for (const { agentId } of fleet.agents()) this.#pending.add(agentId);
    fleet.onChange(({ agentId }) => void this.#pending.add(agentId));
  }

  /** Takes in this many changes at most, so that no placement has to pay for a long silence. */
  refreshSome(limit: number): void {
    let left = limit;
    for (const agentId of this.#pending) {
      if (left <= 0) return;
      left -= 1;
      this.#pending.delete(agentId);
      this.#drafted.delete(agentId);
      const agent = this.#fleet.get(agentId);
      if (agent === undefined) this.#remove(agentId);
      else this.#put(viewOf(agent));
    }
  }

  /** The fleet as it is, with what the draft changes. */
  follow(draft: Draft): void {
    for (const agentId of this.#drafted) if (!draft.isChanged(agentId)) this.#pending.add(agentId);
    this.refreshSome(Number.POSITIVE_INFINITY);
    for (const agent of draft.changedAgents()) this.putDrafted(viewOf(agent));
  }

  putDrafted(view: AgentView): void {
    this.#drafted.add(view.agentId);
    this.#put(view);
  }

  /** As it stands here; undefined: it takes no work. */
  viewOf(agentId: string): AgentView | undefined {
    return this.#known.get(agentId)?.view;
  }

  #put(view: AgentView): void {
    const { agentId } = view;
    const known = this.#known.get(agentId);
    if (known?.view === view) return;
    if (!isOpenForWork(view)) {
      this.#remove(agentId);
      return;
    }
    const machine = this.#kinds.machineOf(agentFacts(view), known?.machine);
    this.#known.set(agentId, { view, machine });
    this.slots.put(agentId, machine.state);
  }

  #remove(agentId: string): void {
    if (this.#known.delete(agentId)) this.slots.remove(agentId);
  }
}
