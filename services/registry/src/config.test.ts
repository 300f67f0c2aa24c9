import { loadConfig } from "@headroom/runtime";
import { describe, expect, it } from "vitest";
import { registryConfig } from "./config.ts";

const DATABASE_URL = "postgresql://headroom@127.0.0.1:5432/headroom";

function load(env: Readonly<Record<string, string>>, flags: Readonly<Record<string, unknown>> = {}) {
  return loadConfig(registryConfig, { env: { DATABASE_URL, ...env }, flags });
}

describe("registryConfig", () => {
  it("has defaults for all but the database", () => {
    const loaded = load({});
    if (loaded.kind === "invalid") throw new Error("the defaults are invalid");
    expect(loaded.values).toMatchObject({
      grpcAddr: { host: "127.0.0.1", port: 7401 },
      httpAddr: { host: "127.0.0.1", port: 7402 },
      heartbeatIntervalMs: 5_000,
      offlineGraceMs: 30_000,
      flapsTolerated: 3,
      placementPolicy: "stranded",
      logLevel: "info",
    });
  });

  it.each([
    ["HEADROOM_HEARTBEAT_INTERVAL_SECONDS", "0"],
    ["HEADROOM_OFFLINE_GRACE_SECONDS", "soon"],
    ["HEADROOM_REGISTRY_GRPC_ADDR", "7401"],
    ["HEADROOM_PLACEMENT_POLICY", "luck"],
    ["HEADROOM_REGISTRY_HTTP_HOSTS", "desk.lan,https://registry.lan"],
    ["HEADROOM_REGISTRY_HTTP_HOSTS", "fd00::7"],
    ["HEADROOM_REGISTRY_HTTP_HOSTS", "registry.lan:99999"],
    ["DATABASE_URL", "mysql://x/y"],
  ])("%s=%s is refused, naming variable and flag", (name, value) => {
    const loaded = load({ [name]: value });
    if (loaded.kind === "ok") throw new Error("accepted");
    expect(loaded.problems).toHaveLength(1);
    expect(loaded.problems[0]!.message).toContain(name);
    expect(loaded.problems[0]!.message).toContain("--");
  });

  it("takes other names of its REST, with a port and in brackets too", () => {
    const HEADROOM_REGISTRY_HTTP_HOSTS = "registry.lan, proxy.lan:8443,[fd00::7],[fd00::7]:80";
    expect(load({ HEADROOM_REGISTRY_HTTP_HOSTS })).toMatchObject({ kind: "ok", values: { httpHosts: { length: 4 } } });
  });
});
