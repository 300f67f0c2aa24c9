/** How many tasks a fleet may have room for, and which of several kinds get it when there is not enough for all. */
import type { Needs } from "./needs.ts";
import type { Mib, Millicores } from "./resources.ts";
import { roomAfterOne, roomBound, type RoomFigures } from "./room-bound.ts";

/** Which agents a task may go to. */
export type MayHave = (agentId: string) => boolean;

/** The agents that take work, and the most that one of them has. */
export class OpenRoom {
  readonly #agents: readonly RoomFigures[];
  readonly #cpuMillicores: Millicores = -1;
  readonly #memoryMib: Mib = -1;
  /** On one card; -1: nobody has a card. */
  readonly #cardMib: Mib = -1;

  constructor(agents: Iterable<RoomFigures>) {
    const open: RoomFigures[] = [];
    for (const agent of agents) {
      if (!agent.takesWork) continue;
      open.push(agent);
      this.#cpuMillicores = Math.max(this.#cpuMillicores, agent.cpuFreeMillicores);
      this.#memoryMib = Math.max(this.#memoryMib, agent.memoryFreeMib);
      for (const { vramFreeMib } of agent.cards) this.#cardMib = Math.max(this.#cardMib, vramFreeMib);
    }
    this.#agents = open;
  }

  /** For how many such tasks there may be room, at most `limit`: never too few. */
  roomFor(needs: Needs, limit: number, mayHave: MayHave): number {
    if (!this.#mayFit(needs)) return 0;
    let room = 0;
    for (const agent of this.#agents) {
      if (mayHave(agent.agentId)) room += roomBound(agent, needs, limit - room);
      if (room >= limit) return limit;
    }
    return room;
  }

  draft(): RoomDraft {
    return new RoomDraft(this.#agents, (needs) => this.#mayFit(needs));
  }

  /** In a full fleet most questions end here. */
  #mayFit(needs: Needs): boolean {
    if (this.#cpuMillicores < needs.cpuMillicores || this.#memoryMib < needs.memoryMib) return false;
    return needs.gpuCount === 0 || this.#cardMib >= needs.gpuVramMib;
  }
}

/**
 * Room that is given away in thought, task by task. Where the registry puts them is its own affair: what finds nothing here may find something
 * once the others have been placed, and is then looked for again in what is left.
 */
export class RoomDraft {
  readonly #agents: RoomFigures[];
  readonly #mayFit: (needs: Needs) => boolean;

  constructor(agents: readonly RoomFigures[], mayFit: (needs: Needs) => boolean) {
    this.#agents = [...agents];
    this.#mayFit = mayFit;
  }

  /** For tasks of one kind, one at a time: takes the room of the next one, and says whether there was any. */
  taker(needs: Needs, mayHave: MayHave): () => boolean {
    // Room only becomes less: who has none now will have none later.
    let next = this.#mayFit(needs) ? 0 : this.#agents.length;
    return () => {
      for (let agent = this.#agents[next]; agent !== undefined; agent = this.#agents[next]) {
        if (mayHave(agent.agentId) && roomBound(agent, needs, 1) >= 1) {
          this.#agents[next] = roomAfterOne(agent, needs);
          return true;
        }
        next += 1;
      }
      return false;
    };
  }
}
