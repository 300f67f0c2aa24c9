import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { wire } from "@headroom/contracts";
import { makeTempDir } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { createHeadroomClient } from "./client.ts";
import { endpointsFile } from "./endpoints.ts";
import { fakeToken, startFakeServices } from "./fake-services.test-helper.ts";
import { cleanups, collect, planId } from "./client.test-helper.ts";

describe("token and addresses", () => {
  it("finds both in the data folder, and a token that appears later", async () => {
    const services = await startFakeServices({
      queue: { resumePausedWork: () => Promise.resolve({ resumedTasks: 1, waitingTasks: 0 }) },
    });
    cleanups.push(() => services.stop());
    const dir = await makeTempDir("client");
    cleanups.push(() => dir.remove());
    const file = endpointsFile(dir.path);
    await mkdir(join(dir.path, "run"));
    const endpoints = { registry: services.address, orchestrator: services.address, pid: process.pid };
    await writeFile(file, JSON.stringify(endpoints));
    const client = createHeadroomClient({}, { env: { HEADROOM_DATA_DIR: dir.path } });
    cleanups.push(() => client.close());
    expect(client.connection.orchestrator).toBe(services.address);
    expect(await client.queue.resume()).toMatchObject({ kind: "error", error: { kind: "unauthenticated" } });
    await writeFile(join(dir.path, "token"), `${fakeToken}\n`, { mode: 0o600 });
    expect(await client.queue.resume()).toMatchObject({ kind: "ok", value: { resumedTasks: 1 } });
  });

  it("takes no addresses from a process that is gone", async () => {
    const dir = await makeTempDir("client");
    cleanups.push(() => dir.remove());
    await mkdir(join(dir.path, "run"));
    await writeFile(endpointsFile(dir.path), JSON.stringify({ registry: "h:1", orchestrator: "h:2", pid: 2 ** 30 }));
    const client = createHeadroomClient({}, { env: { HEADROOM_DATA_DIR: dir.path } });
    expect(client.connection).toMatchObject({ registry: "127.0.0.1:7401", orchestrator: "127.0.0.1:7411" });
  });

  it("with a token file that it may not read it still looks at the fleet, and says of all else what it may not read", async () => {
    const dir = await makeTempDir("client");
    cleanups.push(() => dir.remove());
    // Root may read every file; nobody can read a folder as one.
    const path = join(dir.path, "token");
    await mkdir(path);
    const services = await startFakeServices({
      capacity: { listAvailableCapacity: () => Promise.resolve(wire.ListAvailableCapacityResponse.create()) },
    });
    cleanups.push(() => services.stop());
    const { address } = services;
    const client = createHeadroomClient({ registry: address, orchestrator: address, dataDir: dir.path }, { env: {} });
    cleanups.push(() => client.close());
    expect(await client.capacity.listAvailable()).toMatchObject({ kind: "ok" });
    const message = expect.stringMatching(new RegExp(`${path} cannot be read: .*; name one that .* --token-file`));
    const unreadable = { kind: "unauthenticated", reason: "TOKEN_FILE", message };
    expect(await client.plans.get(planId)).toMatchObject({ kind: "error", error: unreadable });
    expect(await collect(client.plans.watch(planId))).toMatchObject([{ kind: "failed", error: unreadable }]);
    const named = createHeadroomClient({ registry: address, tokenFile: path }, { env: {} });
    cleanups.push(() => named.close());
    expect(await named.capacity.listAvailable()).toMatchObject({ kind: "error", error: unreadable });
  });

  it("DESIGN-6: shows the token of the data folder to services of this machine only, unless somebody named it", async () => {
    const dir = await makeTempDir("client");
    cleanups.push(() => dir.remove());
    const tokenFile = join(dir.path, "token");
    await writeFile(tokenFile, fakeToken, { mode: 0o600 });
    const services = await startFakeServices({
      capacity: { listAvailableCapacity: () => Promise.resolve(wire.ListAvailableCapacityResponse.create()) },
    });
    cleanups.push(() => services.stop());
    // Another name of the same place: a name other than localhost may be anybody's.
    const address = services.address.replace("127.0.0.1", "0");
    const reasonOf = async (options: object): Promise<unknown> => {
      const client = createHeadroomClient({ ...options, dataDir: dir.path }, { env: {} });
      cleanups.push(() => client.close());
      expect(await client.capacity.listAvailable()).toMatchObject({ kind: "ok" });
      const answer = await client.plans.get(planId);
      return answer.kind === "error" ? `${answer.error.reason}: ${answer.error.message}` : answer.kind;
    };
    const both = { registry: address, orchestrator: address };
    expect(await reasonOf(both)).toMatch(
      /TOKEN_FILE: .*not shown to the orchestrator at 0:\d+; .* HEADROOM_TOKEN_FILE/,
    );
    for (const meant of [
      { ...both, tokenFile },
      { ...both, token: fakeToken },
      { registry: address, orchestrator: services.address },
    ])
      expect(await reasonOf(meant)).not.toContain("TOKEN");
    const tls = { caFile: "ca.pem", names: { certFile: "", keyFile: "" } };
    const { connection } = createHeadroomClient({ ...both, tls }, { env: {} });
    expect(connection.strangers).toEqual([]);
  });

  it("refuses a token file that others can read, and one that was named and is not there", async () => {
    const dir = await makeTempDir("client");
    cleanups.push(() => dir.remove());
    const tokenFile = join(dir.path, "token");
    const open = createHeadroomClient({ tokenFile }, { env: {} });
    expect(await open.queue.status()).toMatchObject({
      kind: "error",
      error: { kind: "unauthenticated", reason: "TOKEN_FILE" },
    });
    await writeFile(tokenFile, fakeToken);
    await chmod(tokenFile, 0o644);
    expect(await open.queue.status()).toMatchObject({ kind: "error", error: { reason: "TOKEN_FILE" } });
  });

  it("the options win over the environment, and a wrong address says how it is written", () => {
    const env = {
      HEADROOM_REGISTRY_ADDR: "a:1",
      HEADROOM_ORCHESTRATOR_ADDR: "b:2",
      HEADROOM_TOKEN: "secret-token-of-the-environment",
    };
    const { connection } = createHeadroomClient({ registry: "c:3" }, { env });
    expect(connection).toMatchObject({ registry: "c:3", orchestrator: "b:2", token: { kind: "given" } });
    expect(() => createHeadroomClient({ registry: "nonsense" }, { env })).toThrow(/HEADROOM_REGISTRY_ADDR.*HOST:PORT/s);
  });

  it("a token in the environment that no call could show is refused at once", () => {
    const env = { HEADROOM_TOKEN: "correct horse battery staple" };
    expect(() => createHeadroomClient({}, { env })).toThrow(/HEADROOM_TOKEN is no token that callers can show \(16 to/);
    expect(createHeadroomClient({ tokenFile: "/x" }, { env }).connection.token).toMatchObject({ path: "/x" });
  });
});
