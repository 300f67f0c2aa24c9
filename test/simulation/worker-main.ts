/** One process of a long run: takes seeds from its parent, one after the other, each on the same database. */
import { openRealSessions } from "./database/real-sessions.ts";
import { showsAll } from "./engine/trace.ts";
import { shareOneCore } from "./one-core.ts";
import { simulate } from "./simulate.ts";
import { simConfigs } from "./world/services.ts";

/** What the parent asks for. */
export interface Job {
  readonly seed: number;
  /** Numbers of the faults that are made; null: all. */
  readonly faults: readonly number[] | null;
}

const [url, core] = process.argv.slice(2);
if (url === undefined || core === undefined || process.send === undefined)
  throw new Error("this program is run by simulate-main");
const real = await openRealSessions(url);
await shareOneCore(Number(core), [process.pid, ...real.pids]);
const configs = await simConfigs();
let last: Promise<void> = Promise.resolve();
process.on("message", ({ seed, faults }: Job) => {
  last = last.then(async () => {
    const onlyFaults = faults === null ? undefined : (number: number) => faults.includes(number);
    const outcome = await simulate({ seed, real, configs, ...(onlyFaults !== undefined && { onlyFaults }) });
    process.send?.(outcome.problems.length === 0 && !showsAll ? { ...outcome, trace: [] } : outcome);
  });
});
// Ctrl-C reaches it too; its parent lets it finish what it does.
process.on("SIGINT", () => undefined);
process.on("disconnect", () => void last.then(() => real.close()));
process.send({ ready: true });
