import { describe, expect, it } from "vitest";
import type { Paint } from "../output/colour.ts";
import { renderBanner, type UpFacts } from "./banner.ts";

const facts: UpFacts = {
  registryGrpc: "127.0.0.1:7401",
  registryHttp: "127.0.0.1:7402",
  orchestratorGrpc: "127.0.0.1:7411",
  orchestratorHttp: "127.0.0.1:7412",
  restScheme: "https",
  databaseUrl: null,
  agentId: null,
  agent: null,
  dataDir: "/data",
  isDefaultDataDir: true,
  tokenFile: "/data/token",
  logsDir: "/data/logs",
  tookMs: 1_000,
  entry: "/app/dist/headroom.mjs",
  cwd: "/app",
};

describe("what headroom up says of itself", () => {
  it("names REST by the scheme that it speaks", () => {
    const plain: Paint = (_colour, text) => text;
    expect(renderBanner(facts, plain)).toContain("REST https://127.0.0.1:7402");
    expect(renderBanner({ ...facts, restScheme: "http" }, plain)).toContain("REST http://127.0.0.1:7412");
  });
});
