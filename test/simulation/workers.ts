import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { Outcome } from "./simulate.ts";
import type { Job } from "./worker-main.ts";

/** Processes that simulate worlds, each with a database server of its own. */
export interface Workers {
  /** Runs jobs until there are no more; `done` is called as they end, in any order. */
  run(jobs: Iterable<Job>, done: (outcome: Outcome) => void): Promise<void>;
  close(): void;
}

/** One at each server; see `startSimulationServers`. */
export async function startWorkers(serverUrls: readonly string[]): Promise<Workers> {
  const cores = availableParallelism();
  const program = fileURLToPath(new URL("worker-main.mjs", import.meta.url));
  const workers = serverUrls.map((url, index) => fork(program, [url, String(index % cores)]));
  await Promise.all(workers.map(readiness));
  return {
    async run(jobs, done) {
      const queue = jobs[Symbol.iterator]();
      await Promise.all(workers.map((worker) => drain(worker, queue, done)));
    },
    close() {
      for (const worker of workers) if (worker.connected) worker.disconnect();
    },
  };
}

function readiness(worker: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once("message", () => resolve());
    worker.once("exit", (code) => reject(new Error(`a worker ended with ${code} before it began`)));
  });
}

async function drain(worker: ChildProcess, queue: Iterator<Job>, done: (outcome: Outcome) => void): Promise<void> {
  for (let next = queue.next(); next.done !== true; next = queue.next()) {
    const job = next.value;
    const outcome = await new Promise<Outcome>((resolve, reject) => {
      const died = (code: number | null): void =>
        reject(new Error(`the worker ended with ${code} at seed ${job.seed}`));
      worker.once("exit", died);
      worker.once("message", (message: Outcome) => {
        worker.off("exit", died);
        resolve(message);
      });
      worker.send(job);
    });
    done(outcome);
  }
}
