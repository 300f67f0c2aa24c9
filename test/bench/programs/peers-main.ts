/** Two well-known job queues on the same PostgreSQL, each as its own documentation runs it for throughput. Jobs do nothing. */
import PgBoss from "pg-boss";
import { Logger, makeWorkerUtils, run, type Runner } from "graphile-worker";
import { serveCommands } from "../support/child-side.ts";

interface PeerPlan {
  readonly url: string;
  readonly jobs: number;
}

const CONCURRENCY = 24;
const BATCH = 500;
const quiet = new Logger(() => () => undefined);

/** Resolves when `expected` calls were counted. */
function counter(expected: number): { count(by: number): void; readonly reached: Promise<void> } {
  let seen = 0;
  let resolve: () => void = () => undefined;
  const reached = new Promise<void>((done) => {
    resolve = done;
  });
  return {
    reached,
    count(by) {
      seen += by;
      if (seen >= expected) resolve();
    },
  };
}

serveCommands({
  /** Jobs a second. */
  async graphileWorker({ url, jobs }: PeerPlan): Promise<number> {
    const utils = await makeWorkerUtils({ connectionString: url, logger: quiet });
    await utils.migrate();
    for (let start = 0; start < jobs; start += 1_000) {
      await utils.withPgClient((client) =>
        client.query(`SELECT graphile_worker.add_job('noop', '{}'::json) FROM generate_series(1, $1)`, [
          Math.min(1_000, jobs - start),
        ]),
      );
    }
    await utils.release();
    const done = counter(jobs);
    const startedAt = performance.now();
    const runner: Runner = await run({
      connectionString: url,
      concurrency: CONCURRENCY,
      maxPoolSize: 10,
      noHandleSignals: true,
      logger: quiet,
      preset: { worker: { localQueue: { size: BATCH }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
      taskList: { noop: () => done.count(1) },
    });
    await done.reached;
    const rate = (jobs * 1_000) / (performance.now() - startedAt);
    await runner.stop();
    return rate;
  },

  /** Jobs a second. */
  async pgBoss({ url, jobs }: PeerPlan): Promise<number> {
    const boss = new PgBoss({ connectionString: url, max: 10 });
    boss.on("error", () => undefined);
    await boss.start();
    await boss.createQueue("noop");
    for (let start = 0; start < jobs; start += 1_000) {
      await boss.insert(Array.from({ length: Math.min(1_000, jobs - start) }, () => ({ name: "noop", data: {} })));
    }
    const startedAt = performance.now();
    let left = jobs;
    while (left > 0) {
      const batch = await boss.fetch("noop", { batchSize: BATCH });
      if (batch.length === 0) throw new Error(`pg-boss has no more jobs, ${left} are left`);
      await boss.complete(
        "noop",
        batch.map(({ id }) => id),
      );
      left -= batch.length;
    }
    const rate = (jobs * 1_000) / (performance.now() - startedAt);
    await boss.stop({ graceful: false });
    return rate;
  },
});
