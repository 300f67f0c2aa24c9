/** docker-compose.yml, the Dockerfile and the units of systemd, as far as they can be checked without a Docker engine and systemd. */
import { orchestratorConfig } from "@headroom/orchestrator";
import { registryConfig } from "@headroom/registry";
import { agentOptions } from "@headroom/agent";
import { type ConfigSchema, loadConfig } from "@headroom/runtime";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

const root = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

interface ComposeService {
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly healthcheck: { readonly test: readonly string[] };
  readonly build?: { readonly context: string; readonly dockerfile: string };
}

const compose = parse(read("docker-compose.yml"), { merge: true }) as {
  readonly services: Readonly<Record<"postgres" | "registry" | "orchestrator", ComposeService>>;
};

/** As compose fills variables in: `${NAME:?message}`. */
const filled = (environment: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      value.replaceAll(/\$\{\w+(?::\?[^}]*)?\}/g, "x".repeat(32)),
    ]),
  );

describe("R-SHAPE-4: docker-compose.yml", () => {
  it.each([
    ["registry", registryConfig],
    ["orchestrator", orchestratorConfig],
  ] as const)("gives the %s settings that it knows and accepts", (name, schema: ConfigSchema) => {
    const service = compose.services[name];
    expect(service.command).toEqual([name]);
    const known = new Set(Object.values(schema).map((option) => option.env));
    for (const variable of Object.keys(service.environment)) expect(known, variable).toContain(variable);
    const loaded = loadConfig(schema, { env: filled(service.environment) });
    expect(loaded.kind === "invalid" ? loaded.problems : []).toEqual([]);
  });

  it("publishes every port on loopback only, and the one that the service listens on", () => {
    for (const name of ["registry", "orchestrator"] as const) {
      const { ports = [], environment } = compose.services[name];
      const listening = Object.entries(environment).flatMap(([variable, value]) =>
        /_(GRPC|HTTP)_ADDR$/.test(variable) ? [value.split(":")[1]] : [],
      );
      expect(ports).toEqual(listening.map((port) => `127.0.0.1:${port}:${port}`));
    }
    expect(compose.services.postgres.ports).toBeUndefined();
  });

  it.each(["registry", "orchestrator"] as const)(
    "asks the %s whether it is well, with what the image has",
    async (name) => {
      const { healthcheck, environment } = compose.services[name];
      const [how, program, flag, script = ""] = healthcheck.test;
      expect([how, program, flag]).toEqual(["CMD", "node", "-e"]);
      const port = environment[`HEADROOM_${name.toUpperCase()}_HTTP_ADDR`]?.split(":")[1];
      expect(script).toContain(`'http://127.0.0.1:${port}/healthz'`);
      let answer = 200;
      const server = createServer((_request, response) => void response.writeHead(answer).end());
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const free = (server.address() as AddressInfo).port;
      const check = async (): Promise<number | null> => {
        const child = execFile(process.execPath, ["-e", script.replace(`:${port}/`, `:${free}/`)]);
        const [code] = (await once(child, "exit")) as [number | null];
        return code;
      };
      expect(await check()).toBe(0);
      answer = 503;
      expect(await check()).toBe(1);
      server.close();
      server.closeAllConnections();
      expect(await check()).toBe(1);
    },
  );

  it("builds from a Dockerfile that copies what there is and starts what the build makes", () => {
    const { build } = compose.services.registry;
    const dockerfile = read(join(build!.context, build!.dockerfile));
    const instructions = dockerfile.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    for (const line of instructions) expect(line).toMatch(/^(FROM|WORKDIR|COPY|RUN|ENV|USER|VOLUME|ENTRYPOINT) \S/);
    const copied = instructions.flatMap((line) => /^COPY (?!--from)(.+) \S+$/.exec(line)?.[1]?.split(" ") ?? []);
    expect(copied.length).toBeGreaterThan(0);
    for (const path of copied) expect(existsSync(join(root, path)), path).toBe(true);
    expect(read("scripts/build.mjs")).toContain("dist/headroom.mjs");
    expect(instructions.at(-1)).toBe('ENTRYPOINT ["node", "dist/headroom.mjs"]');
    // The command by its name, for `docker compose exec`.
    const [, command = ""] = /ln -s \/app\/(\S+) \/usr\/local\/bin\/headroom$/m.exec(dockerfile) ?? [];
    expect(command).toMatch(/headroom\.mjs$/);
    accessSync(join(root, command), constants.X_OK);
  });
});

describe("the units of systemd", () => {
  const units = [
    ["headroom-agent.service", ["agent"], [agentOptions], 25],
    ["headroom@.service", ["%i"], [registryConfig, orchestratorConfig], 25],
  ] as const;

  it.each(units)(
    "%s starts what there is, over and over, and gives it time to stop",
    (file, args, schemas: readonly ConfigSchema[], stopSeconds) => {
      const lines = read(join("deploy", file)).split("\n");
      const valueOf = (key: string): string | undefined =>
        lines.find((line) => line.startsWith(`${key}=`))?.slice(key.length + 1);
      expect(valueOf("ExecStart")).toBe(["/usr/bin/node dist/headroom.mjs", ...args].join(" "));
      expect(valueOf("Restart")).toBe("always");
      expect(Number(valueOf("TimeoutStopSec"))).toBeGreaterThan(stopSeconds);
      // The data folder is the one that systemd makes.
      expect(valueOf("Environment")).toBe(`HEADROOM_DATA_DIR=/var/lib/${valueOf("StateDirectory")}`);
      const known = new Set(schemas.flatMap((schema) => Object.values(schema).map((option) => option.env)));
      const named = lines.flatMap((line) => /^# {7}(\w+)=/.exec(line)?.[1] ?? []);
      expect(named.length).toBeGreaterThan(0);
      for (const variable of named) expect(known, variable).toContain(variable);
    },
  );

  it("let tasks run as another user than the services, who could read the token", () => {
    const [agent, services] = units.map(([file]) => /^User=(.*)$/m.exec(read(join("deploy", file)))?.[1]);
    expect(agent).toBeDefined();
    expect(services).not.toBe(agent);
  });
});
