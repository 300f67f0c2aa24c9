import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { bundleScript, temporaryFolder } from "./bundled-process.test-helper.ts";
import { systemClock } from "./clock.ts";
import { type ManualPorts, manualPorts } from "./manual-ports.test-helper.ts";
import { lockOwner, type OwnerLock, type OwnerLockOptions, takeOwnerLock } from "./owner-lock.ts";

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function lockDir(): Promise<string> {
  return join(await temporaryFolder(), "data.lock");
}

async function taken(dir: string, options: OwnerLockOptions): Promise<OwnerLock> {
  const result = await takeOwnerLock(dir, options);
  if (result.kind === "held") throw new Error(`held by ${result.pid}`);
  return result.lock;
}

/** Changes what the claim tells of its owner, as if another machine had written it. Its owner's touches go on. */
async function retell(dir: string, change: object, number = 1): Promise<void> {
  const path = join(dir, String(number));
  const claim = JSON.parse(await readFile(path, "utf8"));
  await writeFile(
    path,
    JSON.stringify({ ...claim, ...change, place: { ...claim.place, ...Reflect.get(change, "place") } }),
  );
}

/** Lets time pass until the promise has its outcome; answers how much. */
async function passing(ports: ManualPorts, promise: Promise<unknown>): Promise<number> {
  const startMs = ports.clock.monotonic();
  const state = { settled: false };
  const settle = (): void => void (state.settled = true);
  promise.then(settle, settle);
  while (!state.settled) {
    await ports.advance(100);
    // Files are read in real time.
    await pause(2);
  }
  return ports.clock.monotonic() - startMs;
}

/** Files are read in real time. */
async function waitUntil(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let looks = 0; !(await isSo()); looks += 1) {
    if (looks === 1_000) throw new Error("it did not come to be so");
    await pause(5);
  }
}

const otherMachine = { host: "other", boot_id: "b2", on_own_disk: false };
const dead = { pid: 2 ** 22 + 1, start_time: "boot 1" };

describe("an owner elsewhere", () => {
  it("who touches its claim has the lock, although its pid is nobody's here", async () => {
    const dir = await lockDir();
    const ports = manualPorts();
    const owner = await taken(dir, ports);
    await retell(dir, { ...dead, place: otherMachine });
    const watched: unknown[] = [];
    const trying = takeOwnerLock(dir, { ...ports, onWatch: (who) => watched.push(who) });
    const tookMs = await passing(ports, trying);
    const held = { pid: dead.pid, elsewhere: "on host other" };
    expect(await trying).toMatchObject({ kind: "held", ...held });
    expect(watched).toEqual([held]);
    expect(tookMs).toBeLessThan(5_000);
    await owner.release();
  });

  it("who has stopped touching it is dead after 15 s of the taker's time, and one alone takes over", async () => {
    const dir = await lockDir();
    // Its timers stand still.
    await taken(dir, manualPorts());
    // Whatever its clock says.
    const future = new Date(systemClock.now() + 86_400_000);
    await retell(dir, { place: otherMachine });
    await utimes(join(dir, "1"), future, future);
    const ports = manualPorts();
    const tries = Promise.all(Array.from({ length: 4 }, () => takeOwnerLock(dir, ports)));
    const tookMs = await passing(ports, tries);
    expect((await tries).map(({ kind }) => kind).toSorted()).toEqual(["held", "held", "held", "taken"]);
    expect(tookMs).toBeGreaterThanOrEqual(15_000);
  });

  it("who lets go during the watch is followed at once", async () => {
    const dir = await lockDir();
    await taken(dir, manualPorts());
    await retell(dir, { place: otherMachine });
    const ports = manualPorts();
    const trying = takeOwnerLock(dir, { ...ports, onWatch: () => void retell(dir, { released: true }) });
    expect(await passing(ports, trying)).toBeLessThan(5_000);
    expect((await trying).kind).toBe("taken");
  });

  it("is not watched any longer by who is told to stop", async () => {
    const dir = await lockDir();
    await taken(dir, manualPorts());
    await retell(dir, { place: otherMachine });
    const stop = new AbortController();
    const ports = manualPorts();
    const trying = takeOwnerLock(dir, {
      ...ports,
      signal: stop.signal,
      onWatch: () => stop.abort(new Error("stopped")),
    });
    await expect(trying).rejects.toThrow("stopped");
    expect(ports.pending()).toEqual([]);
  });

  it("touches no more once it has let go", async () => {
    const ports = manualPorts();
    const owner = await taken(await lockDir(), ports);
    expect(ports.pending()).toEqual([3_000]);
    await owner.release();
    expect(ports.pending()).toEqual([]);
  });

  it("is told without a watch by its last sign", async () => {
    const dir = await lockDir();
    await taken(dir, manualPorts());
    await retell(dir, { ...dead, place: otherMachine });
    expect(await lockOwner(dir, systemClock)).toEqual({ pid: dead.pid });
    const old = new Date(systemClock.now() - 3_600_000);
    await utimes(join(dir, "1"), old, old);
    expect(await lockOwner(dir, systemClock)).toBeNull();
    await retell(dir, { released: true });
    expect(await lockOwner(dir, systemClock)).toBeNull();
  });
});

describe("an owner here", () => {
  it.each([
    ["of an earlier version, which told no place", { ...dead, place: undefined }],
    ["that was killed", dead],
  ])("%s is followed at once", async (_what, change) => {
    const dir = await lockDir();
    await taken(dir, manualPorts());
    const path = join(dir, "1");
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...change }));
    expect((await takeOwnerLock(dir, manualPorts())).kind).toBe("taken");
  });

  it("of an earlier version that lives has the lock", async () => {
    const dir = await lockDir();
    await taken(dir, manualPorts());
    const path = join(dir, "1");
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), place: undefined }));
    expect(await takeOwnerLock(dir, manualPorts())).toMatchObject({ kind: "held", pid: process.pid, elsewhere: null });
  });

  it("from before a restart of the machine is followed at once where that is sure, and else after a watch", async () => {
    const dir = await lockDir();
    await taken(dir, manualPorts());
    const { place } = JSON.parse(await readFile(join(dir, "1"), "utf8"));
    const isSure = place.pid_namespace === "pid:[4026531836]" && place.on_own_disk === true;
    await retell(dir, { ...dead, place: { boot_id: "an earlier one" } });
    const ports = manualPorts();
    const trying = takeOwnerLock(dir, ports);
    const tookMs = await passing(ports, trying);
    expect((await trying).kind).toBe("taken");
    if (isSure) expect(tookMs).toBeLessThan(5_000);
    else expect(tookMs).toBeGreaterThanOrEqual(15_000);
  });
});

describe("an owner that stood still for so long that it was taken for dead", () => {
  /** Another one, elsewhere, takes the lock while the first one's timers stand still. */
  async function takenOver(): Promise<{
    dir: string;
    ports: ManualPorts;
    first: OwnerLock;
    second: OwnerLock;
    lost: unknown[];
  }> {
    const dir = await lockDir();
    const ports = manualPorts();
    const lost: unknown[] = [];
    const first = await taken(dir, { ...ports, onLost: (owner) => lost.push(owner) });
    await retell(dir, { place: otherMachine });
    const others = manualPorts();
    const trying = taken(dir, others);
    await passing(others, trying);
    return { dir, ports, first, second: await trying, lost };
  }

  it("takes the lock back where the other one has let it go", async () => {
    const { dir, ports, first, second, lost } = await takenOver();
    await second.release();
    await ports.advance(3_000);
    await waitUntil(async () => (await readdir(dir)).includes("3"));
    expect([await first.isHeld(), lost]).toEqual([true, []]);
    expect((await takeOwnerLock(dir, manualPorts())).kind).toBe("held");
    await first.release();
    expect((await takeOwnerLock(dir, manualPorts())).kind).toBe("taken");
  });

  it("takes it back also when it asks itself before its next touch", async () => {
    const { dir, first, second } = await takenOver();
    await second.release();
    expect(await first.isHeld()).toBe(true);
    expect((await takeOwnerLock(dir, manualPorts())).kind).toBe("held");
  });

  it("takes it back once, and not from itself, when it is asked several times meanwhile", async () => {
    const { dir, ports, first, second, lost } = await takenOver();
    await second.release();
    await ports.advance(3_000);
    const asked: Promise<boolean>[] = [];
    while (!(await readdir(dir)).includes("3")) asked.push(first.isHeld());
    for (let more = 0; more < 20; more += 1) asked.push(first.isHeld());
    expect(new Set(await Promise.all(asked))).toEqual(new Set([true]));
    expect(lost).toEqual([]);
    await Promise.all([first.isHeld(), first.release()]);
    expect(await first.isHeld()).toBe(false);
    expect((await takeOwnerLock(dir, manualPorts())).kind).toBe("taken");
  });

  it("does not take it back once it has let go itself", async () => {
    const { dir, ports, first, second } = await takenOver();
    await Promise.all([first.release(), second.release()]);
    expect(await first.isHeld()).toBe(false);
    expect(ports.pending()).toEqual([]);
    expect((await takeOwnerLock(dir, manualPorts())).kind).toBe("taken");
  });

  it("is told once that another one has it, and lets nothing go then", async () => {
    const { dir, ports, first, lost } = await takenOver();
    await retell(dir, { place: otherMachine }, 2);
    await ports.advance(3_000);
    await waitUntil(() => lost.length === 1);
    await ports.advance(6_000);
    expect([await first.isHeld(), lost]).toEqual([false, [{ pid: process.pid, elsewhere: "on host other" }]]);
    await first.release();
    expect(await readdir(dir)).toEqual(["2"]);
  });
});

describe.runIf(mayUnshare())("a real process in another pid namespace", () => {
  it("has the lock as long as it lives", async () => {
    const dir = await lockDir();
    const script = await bundleScript(`
      import { systemPorts, takeOwnerLock } from "./index.ts";
      const result = await takeOwnerLock(process.argv[2], systemPorts);
      console.log(JSON.stringify({ kind: result.kind, pid: process.pid }));
      setInterval(() => undefined, 1_000);
    `);
    const [program = "", ...args] = inNewNamespace(process.execPath, script, dir);
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    cleanups.push(() => void child.kill("SIGKILL"));
    const [line] = await once(child.stdout, "data");
    const { kind, pid } = JSON.parse(String(line));
    expect(kind).toBe("taken");
    expect(await takeOwnerLock(dir, { clock: systemClock })).toMatchObject({
      kind: "held",
      pid,
      elsewhere: expect.stringMatching(/^in another container of this machine/),
    });
    child.kill("SIGKILL");
    await once(child, "exit");
    const ports = manualPorts();
    const trying = takeOwnerLock(dir, ports);
    await passing(ports, trying);
    expect((await trying).kind).toBe("taken");
    await rm(dir, { recursive: true, force: true });
  });
});

function inNewNamespace(...command: readonly string[]): readonly string[] {
  return ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", ...command];
}

/** Root alone may make namespaces, and not in every container. */
function mayUnshare(): boolean {
  if (process.platform !== "linux") return false;
  try {
    const [program = "", ...args] = inNewNamespace("true");
    execFileSync(program, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
