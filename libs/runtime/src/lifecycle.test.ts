import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { settle } from "./manual-ports.test-helper.ts";
import { createDeferred, lifecycle, ServiceGroup, StoppedError, type Service } from "./index.ts";

/** A service that counts its hooks and checks that they alternate. */
function counted(
  name: string,
  log: string[] = [],
  hooks: { start?: () => Promise<void>; stop?: () => Promise<void> } = {},
) {
  let up = false;
  return lifecycle({
    name,
    async start() {
      log.push(`start ${name}`);
      if (up) throw new Error("started twice");
      await hooks.start?.();
      up = true;
    },
    async stop() {
      log.push(`stop ${name}`);
      if (!up) throw new Error("stopped though not up");
      await hooks.stop?.();
      up = false;
    },
  });
}

describe("lifecycle", () => {
  it("starting and stopping twice is starting and stopping once", async () => {
    const log: string[] = [];
    const service = counted("a", log);
    await Promise.all([service.start(), service.start()]);
    await service.start();
    expect(service.state()).toBe("running");
    await Promise.all([service.stop(), service.stop()]);
    await service.stop();
    expect(service.state()).toBe("stopped");
    expect(log).toEqual(["start a", "stop a"]);
  });

  it("a stop before the start does nothing, and it can be started again after a stop", async () => {
    const log: string[] = [];
    const service = counted("a", log);
    await service.stop();
    await service.start();
    await service.stop();
    await service.start();
    expect(log).toEqual(["start a", "stop a", "start a"]);
    await service.stop();
  });

  it("a stop during the start aborts it, waits for it and undoes it", async () => {
    const gate = createDeferred();
    const log: string[] = [];
    const service = counted("a", log, { start: () => gate.promise });
    const started = expect(service.start()).rejects.toBeInstanceOf(StoppedError);
    await settle();
    const stopped = service.stop("changed my mind");
    await settle();
    expect(log).toEqual(["start a"]);
    gate.resolve();
    await Promise.all([started, stopped]);
    expect(log).toEqual(["start a", "stop a"]);
    expect(service.state()).toBe("stopped");
  });

  it("a start that obeys the abort owes no stop", async () => {
    let stops = 0;
    const service = lifecycle({
      name: "a",
      start: (signal) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
      stop: () => void (stops += 1),
    });
    const started = expect(service.start()).rejects.toBeInstanceOf(StoppedError);
    await settle();
    await service.stop();
    await started;
    expect(stops).toBe(0);
  });

  it("a start during a stop waits for it; a start that failed can be tried again", async () => {
    const gate = createDeferred();
    const log: string[] = [];
    const service = counted("a", log, { stop: () => gate.promise });
    await service.start();
    const stopped = service.stop();
    const again = service.start();
    await settle();
    expect(log).toEqual(["start a", "stop a"]);
    gate.resolve();
    await Promise.all([stopped, again]);
    expect(log).toEqual(["start a", "stop a", "start a"]);

    let tries = 0;
    const fickle = counted("b", log, {
      start: () => (++tries === 1 ? Promise.reject(new Error("first")) : Promise.resolve()),
    });
    await expect(fickle.start()).rejects.toThrow("first");
    await fickle.stop();
    await fickle.start();
    expect(fickle.state()).toBe("running");
  });

  it("an error of stop is told, and the service counts as stopped", async () => {
    const service = lifecycle({ name: "a", start: () => undefined, stop: () => Promise.reject(new Error("stuck")) });
    await service.start();
    await expect(service.stop()).rejects.toThrow("stuck");
    expect(service.state()).toBe("stopped");
    await service.stop();
  });

  it("stress: no order of starts and stops runs a hook twice or leaves it up after a last stop", async () => {
    const action = fc.constantFrom("start", "stop", "settle", "fail next start");
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 40 }), fc.infiniteStream(fc.nat(3)), async (actions, delays) => {
        let up = 0;
        let failNext = false;
        const pause = async (): Promise<void> => {
          const turns = delays.next().value ?? 0;
          for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
        };
        const service = lifecycle({
          name: "stressed",
          async start() {
            const fails = failNext;
            failNext = false;
            await pause();
            if (fails) throw new Error("told to fail");
            up += 1;
            expect(up).toBe(1);
          },
          async stop() {
            await pause();
            up -= 1;
            expect(up).toBe(0);
          },
        });
        const calls: Promise<unknown>[] = [];
        for (const next of actions) {
          if (next === "start")
            calls.push(
              service.start().catch((error: unknown) => expect(String(error)).toMatch(/told to fail|was stopped/)),
            );
          else if (next === "stop") calls.push(service.stop());
          else if (next === "settle") await settle();
          else failNext = true;
        }
        await service.stop();
        await Promise.all(calls);
        expect(up).toBe(0);
        expect(service.state()).toBe("stopped");
      }),
      { numRuns: 500 },
    );
  });
});

describe("ServiceGroup", () => {
  it("starts in order and stops in reverse", async () => {
    const log: string[] = [];
    const group = new ServiceGroup([counted("a", log), counted("b", log), counted("c", log)]);
    await group.start();
    await group.stop();
    await group.stop();
    expect(log).toEqual(["start a", "start b", "start c", "stop c", "stop b", "stop a"]);
  });

  it("when one cannot start, those before it are stopped and its error is told", async () => {
    const log: string[] = [];
    const broken = counted("b", log, { start: () => Promise.reject(new Error("no port")) });
    const group = new ServiceGroup([counted("a", log), broken, counted("c", log)]);
    await expect(group.start()).rejects.toThrow("no port");
    expect(log).toEqual(["start a", "start b", "stop a"]);
    expect(group.state()).toBe("stopped");
  });

  it("one that cannot stop does not keep the others up", async () => {
    const log: string[] = [];
    const stuck = (name: string): Service => counted(name, log, { stop: () => Promise.reject(new Error(name)) });
    const one = new ServiceGroup([counted("a", log), stuck("b"), counted("c", log)]);
    await one.start();
    await expect(one.stop()).rejects.toThrow("b");
    expect(log.slice(-3)).toEqual(["stop c", "stop b", "stop a"]);
    const two = new ServiceGroup([stuck("d"), stuck("e")]);
    await two.start();
    await expect(two.stop()).rejects.toBeInstanceOf(AggregateError);
  });

  it("a stop during the start cuts the service that is starting, and leaves nothing up", async () => {
    const log: string[] = [];
    const waiting = lifecycle({
      name: "waiting",
      start: (signal) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
    });
    const first = counted("a", log);
    const group = new ServiceGroup([first, waiting, counted("c", log)]);
    const started = expect(group.start()).rejects.toBeInstanceOf(StoppedError);
    await settle();
    await group.stop("signal");
    await started;
    expect(log).toEqual(["start a", "stop a"]);
    expect([first.state(), waiting.state(), group.state()]).toEqual(["stopped", "stopped", "stopped"]);
  });
});
