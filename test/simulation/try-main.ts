import { startEmbedded } from "@headroom/postgres";
import { silentLogger } from "@headroom/runtime";
import { makeTempDir } from "@headroom/testing";
import { openRealSessions } from "./database/real-sessions.ts";
import { simulate } from "./simulate.ts";
import { simConfigs } from "./world/services.ts";

const dir = await makeTempDir("sim");
const server = await startEmbedded({
  dataDir: `${dir.path}/pg`,
  logger: silentLogger,
  settings: { fsync: "off", synchronous_commit: "off", full_page_writes: "off", autovacuum: "off", jit: "off" },
});
try {
  const real = await openRealSessions(server.connectionString);
  const configs = await simConfigs();
  const [first = "1", count = "1", show = ""] = process.argv.slice(2);
  for (let seed = Number(first); seed < Number(first) + Number(count); seed += 1) {
    const startedMs = Date.now();
    const outcome = await simulate({ seed, real, configs });
    const { problems, trace, ...rest } = outcome;
    console.log(JSON.stringify({ ...rest, ms: Date.now() - startedMs, problems: problems.length }));
    for (const problem of problems) console.log(`  ${problem}`);
    if (show !== "") for (const line of trace.slice(-Number(show))) console.log(`    ${line}`);
  }
  await real.close();
} finally {
  await server.stop();
  await dir.remove();
}
