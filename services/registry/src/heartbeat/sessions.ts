/** The open heartbeat streams of this process, one per agent. */
import type { HeartbeatSession } from "./session.ts";

export class Sessions {
  readonly #byAgent = new Map<string, HeartbeatSession>();
  readonly #all = new Set<HeartbeatSession>();

  #isClosing = false;

  /** This process stops: agents are sent to come back later, and none is let in any more. */
  close(): void {
    this.#isClosing = true;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** Every stream, admitted or not. */
  all(): readonly HeartbeatSession[] {
    return [...this.#all];
  }

  /** The session that speaks for the agent. */
  of(agentId: string): HeartbeatSession | undefined {
    return this.#byAgent.get(agentId);
  }

  opened(session: HeartbeatSession): void {
    this.#all.add(session);
  }

  /** The session speaks for the agent from now on; answers the one that did. */
  admitted(agentId: string, session: HeartbeatSession): HeartbeatSession | undefined {
    const before = this.#byAgent.get(agentId);
    this.#byAgent.set(agentId, session);
    return before === session ? undefined : before;
  }

  /** Answers whether the session spoke for its agent until now. */
  closed(session: HeartbeatSession): boolean {
    this.#all.delete(session);
    const { agentId } = session;
    if (agentId === null || this.#byAgent.get(agentId) !== session) return false;
    this.#byAgent.delete(agentId);
    return true;
  }

  get size(): number {
    return this.#byAgent.size;
  }
}
