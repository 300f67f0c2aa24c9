import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { systemPorts } from "@headroom/runtime";
import { makeTempDir, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CliError } from "../errors/cli-error.ts";
import { probeAddresses, reachable } from "./addresses.ts";
import { takeInstanceLock } from "./instance-lock.ts";
import { findPortHolder, listeningInodes } from "./port-holder.ts";

async function failure(promise: Promise<unknown>): Promise<CliError> {
  const error: unknown = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof CliError) return error;
  throw new Error(`no CliError but ${String(error)}`);
}

describe("the lock of a data folder", () => {
  let dir: TempDir;
  beforeEach(async () => {
    dir = await makeTempDir("lock");
  });
  afterEach(() => dir.remove());

  const take = () => takeInstanceLock(join(dir.path, "run"), dir.path, systemPorts);

  it("lets one in, names it to the next, and lets another in after it", async () => {
    const first = await take();
    const error = await failure(take());
    expect(error.message).toMatch(new RegExp(`process ${process.pid}, since \\d{4}-`));
    expect(error.wayOut).toContain(`kill ${process.pid}`);
    await first.release();
    await first.release();
    await (await take()).release();
  });

  it("names the container or machine of one elsewhere, and no kill, which would reach somebody else here", async () => {
    const first = await take();
    const path = join(dir.path, "run", "up.lock", "1");
    const claim = JSON.parse(await readFile(path, "utf8"));
    await writeFile(
      path,
      JSON.stringify({ ...claim, place: { ...claim.place, host: "3f2a", boot_id: "another", on_own_disk: false } }),
    );
    const said: string[] = [];
    const say = (line: string): void => void said.push(line);
    const error = await failure(takeInstanceLock(join(dir.path, "run"), dir.path, systemPorts, { say }));
    expect(error.message).toContain(`process ${process.pid} on host 3f2a, since `);
    expect([error.wayOut?.includes("where it runs"), error.wayOut?.includes("kill")]).toEqual([true, false]);
    expect(said).toEqual([
      `headroom: looking for up to 15 s whether process ${process.pid} on host 3f2a still uses ${dir.path}`,
    ]);
    await first.release();
  });

  it("of many that find a dead owner one alone gets in", async () => {
    await mkdir(join(dir.path, "run", "up.lock"), { recursive: true });
    const dead = { pid: 2 ** 22 + 1, start_time: "long ago", since_ms: 1 };
    await writeFile(join(dir.path, "run", "up.lock", "7"), JSON.stringify(dead));
    const tries = await Promise.allSettled(Array.from({ length: 8 }, take));
    expect(tries.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const held = JSON.parse(await readFile(join(dir.path, "run", "up.lock", "8"), "utf8"));
    expect(held.pid).toBe(process.pid);
  });

  it("a pid that another process has by now, and a torn file, count for nothing", async () => {
    await mkdir(join(dir.path, "run", "up.lock"), { recursive: true });
    for (const [index, text] of [
      JSON.stringify({ pid: 1, start_time: "another time", since_ms: 1 }),
      "",
      '{"pid":',
    ].entries()) {
      await writeFile(join(dir.path, "run", "up.lock", String(10 * (index + 1))), text);
      await (await take()).release();
    }
  });
});

describe("addresses", () => {
  let server: Server;
  let port: number;
  beforeEach(async () => {
    server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    port = typeof address === "object" && address !== null ? address.port : 0;
  });
  afterEach(() => new Promise((resolve) => void server.close(resolve)));

  const wanted = (listenPort: number, variable = "HEADROOM_X_ADDR") => ({
    what: "the test's port",
    variable,
    address: { host: "127.0.0.1", port: listenPort },
  });

  it("names the port that is taken, who has it, and how to choose another", async () => {
    const error = await failure(probeAddresses({ a: wanted(port) }));
    expect(error.reason).toBe("PORT_IN_USE");
    expect(error.details[0]).toContain(`127.0.0.1:${port} (the test's port)`);
    expect(error.details[0]).toContain(`HEADROOM_X_ADDR=127.0.0.1:${port + 100}`);
    if (process.platform === "linux") expect(error.details[0]).toContain(`process ${process.pid} listens there`);
  });

  it("gives port 0 a number, and refuses one port for two servers", async () => {
    const chosen = await probeAddresses({ a: wanted(0), b: wanted(0) });
    expect(chosen.a.port).toBeGreaterThan(0);
    const free = chosen.a.port;
    const error = await failure(probeAddresses({ a: wanted(free), b: wanted(free, "HEADROOM_Y_ADDR") }));
    expect(error.details[0]).toMatch(/is meant for .* and for .*; change HEADROOM_Y_ADDR/);
  });

  it("a server on every address is reached on loopback", () => {
    expect(reachable({ host: "0.0.0.0", port: 1 })).toBe("127.0.0.1:1");
    expect(reachable({ host: "::1", port: 1 })).toBe("[::1]:1");
  });

  it.runIf(process.platform === "linux")("finds who listens by /proc", async () => {
    expect(await findPortHolder(port)).toMatchObject({ pid: process.pid });
    const line = "  0: 0100007F:1CE9 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 4242 1";
    expect(listeningInodes(`head\n${line}\n`, 7_401)).toEqual(["4242"]);
    expect(listeningInodes(`head\n${line.replace(" 0A ", " 01 ")}\n`, 7_401)).toEqual([]);
  });
});
