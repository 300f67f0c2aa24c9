/**
 * The orchestrator with a fault of the test's choice, as a program: it kills itself at the point that stands in
 * HEADROOM_TEST_ARM_FILE once there is such a file, or hears nothing of room that appears (HEADROOM_TEST_DEAF). Everything else is the real thing.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import {
  createGrpcRegistry,
  createOrchestrator,
  createPostgresStore,
  orchestratorConfig,
  orchestratorSchema,
  type RegistryPort,
} from "@headroom/orchestrator";
import { createDatabase } from "@headroom/postgres";
import { createChannel, ensureTokenFile, serverPaths } from "@headroom/rpc";
import { createLogger, loadConfigOrThrow, runUntilSignal, systemPorts } from "@headroom/runtime";
import { dyingAt } from "./crash-point.ts";

const { env } = process;
const { values: config } = loadConfigOrThrow(orchestratorConfig, { env });
const { logFile, tokenFile } = serverPaths(config, "orchestrator", env);
mkdirSync(dirname(logFile), { recursive: true });
const logger = createLogger({ name: "orchestrator", level: config.logLevel, file: logFile, stderr: "warn" });
const ports = systemPorts;

const armFile = env["HEADROOM_TEST_ARM_FILE"] ?? "";

/** Tells of the fleet, but never that room has appeared. */
function deaf(registry: RegistryPort): RegistryPort {
  return {
    ...registry,
    async *watch(signal) {
      for await (const change of registry.watch(signal)) yield { ...change, roomAppeared: false };
    },
  };
}

const database = createDatabase({
  connection: config.databaseUrl,
  schema: orchestratorSchema,
  applicationName: "headroom-orchestrator",
  logger,
  ports,
  max: config.databaseMaxConnections,
});
const channel = createChannel({
  address: config.registryAddr,
  ports,
  logger,
  token: await ensureTokenFile(tokenFile),
  userAgent: "headroom-orchestrator/test",
});
const overGrpc = createGrpcRegistry(channel, ports.timers);
const registry = env["HEADROOM_TEST_DEAF"] === undefined ? overGrpc : deaf(overGrpc);

const orchestrator = createOrchestrator(config, {
  logger,
  ports,
  store: dyingAt(createPostgresStore(database), "store", armFile),
  registry: dyingAt(registry, "registry", armFile),
});
process.exitCode = await runUntilSignal(orchestrator, { logger, ports });
channel.close();
await database.close();
