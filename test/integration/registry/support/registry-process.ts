/** A real registry process, with what it takes to talk to it. */
import { wire } from "@headroom/contracts";
import { type Channel, createChannel, createClient, type RpcClient } from "@headroom/rpc";
import { type HostPort, silentLogger, systemPorts } from "@headroom/runtime";
import { makeTempDir, spawnScript, type SpawnedScript } from "@headroom/testing";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface RegistryProcess {
  readonly script: SpawnedScript;
  /** A connection of its own, as each agent has one. */
  connect(): Channel;
  readonly fleet: RpcClient<typeof wire.FleetServiceService>;
  readonly capacity: RpcClient<typeof wire.CapacityServiceService>;
  /** SIGTERM, and until it has ended. */
  term(): Promise<void>;
  /** Gives all back; kills what still runs. */
  close(): Promise<void>;
}

export async function startRegistryProcess(
  databaseUrl: string,
  env: Readonly<Record<string, string>> = {},
): Promise<RegistryProcess> {
  const dir = await makeTempDir("registry process");
  const script = await spawnScript(fileURLToPath(new URL("registry-main.ts", import.meta.url)), {
    env: {
      DATABASE_URL: databaseUrl,
      HEADROOM_DATA_DIR: dir.path,
      HEADROOM_REGISTRY_GRPC_ADDR: "127.0.0.1:0",
      HEADROOM_REGISTRY_HTTP_ADDR: "127.0.0.1:0",
      ...env,
    },
  });
  // What the program itself has printed.
  const address = JSON.parse(await script.line("ready ")) as HostPort;
  const token = (await readFile(join(dir.path, "token"), "utf8")).trim();
  const channels: Channel[] = [];
  const connect = (): Channel => {
    const channel = createChannel({ address, token, ports: systemPorts, logger: silentLogger, userAgent: "test" });
    channels.push(channel);
    return channel;
  };
  const channel = connect();
  return {
    script,
    connect,
    fleet: createClient(wire.FleetServiceService, channel),
    capacity: createClient(wire.CapacityServiceService, channel),
    async term() {
      script.child.kill("SIGTERM");
      await script.ended();
    },
    async close() {
      for (const opened of channels) opened.close();
      await script.kill9();
      await dir.remove();
    },
  };
}
