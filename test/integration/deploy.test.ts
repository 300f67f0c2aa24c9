/** docker-compose.yml and the Dockerfile, as far as they can be checked without a Docker engine. */
import { orchestratorConfig } from "@headroom/orchestrator";
import { registryConfig } from "@headroom/registry";
import { type ConfigSchema, loadConfig } from "@headroom/runtime";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

const root = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

interface ComposeService {
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
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
  });
});
