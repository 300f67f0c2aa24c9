import { setTimeout as pause } from "node:timers/promises";
import type { Engine } from "./engine/engine.ts";

/** Lets a world's time go as the real one does, for tests that know of no other. Answers how to end that. */
export function followRealTime(engine: Engine): () => Promise<void> {
  const over = new AbortController();
  const startedMs = performance.now();
  const loop = (async () => {
    while (!over.signal.aborted) {
      await engine.run(Math.max(0, performance.now() - startedMs - engine.nowMs));
      await pause(1);
    }
  })();
  return async () => {
    over.abort();
    await loop;
  };
}
