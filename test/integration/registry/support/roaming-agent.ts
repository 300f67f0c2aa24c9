/** An agent that beats, and goes to another registry process when the one it is at sends it away, dies or refuses it. */
import type { Channel } from "@headroom/rpc";
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { FakeAgent, type FakeAgentOptions } from "./fake-agent.ts";

/** A registry process as an agent sees it: each call opens a connection. */
export interface Place {
  connect(): Channel;
}

export class RoamingAgent {
  readonly agentId: string = randomUUID();
  readonly #incarnation: string = randomUUID();
  readonly #options: FakeAgentOptions;
  readonly #beatEveryMs: number;
  #places: readonly Place[] = [];
  #isStopped = false;
  #running: Promise<void> = Promise.resolve();
  /** Sessions that were welcomed so far. */
  joined = 0;

  constructor(beatEveryMs: number, options: FakeAgentOptions = {}) {
    this.#beatEveryMs = beatEveryMs;
    this.#options = options;
  }

  /** Where it may go from now on; the first of them that takes it. */
  mayGoTo(...places: readonly Place[]): void {
    this.#places = places;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let turn = 0; !this.#isStopped; turn += 1) {
      const place = this.#places[turn % this.#places.length];
      if (place === undefined) return;
      const channel = place.connect();
      const agent = new FakeAgent(channel, {
        ...this.#options,
        agentId: this.agentId,
        incarnation: this.#incarnation,
      });
      try {
        await agent.join();
        this.joined += 1;
        while (!this.#isStopped && agent.closed === undefined) {
          await agent.beat();
          await pause(this.#beatEveryMs);
        }
        if (agent.closed === undefined) agent.goodbye();
        await agent.whenClosed();
      } catch {
        // The stream ended; on to the next place.
      }
      channel.close();
      await pause(50);
    }
  }
}
