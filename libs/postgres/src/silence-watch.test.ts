import { silentLogger } from "@headroom/runtime";
import { manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { ServerSilentError, SilenceWatch } from "./silence-watch.ts";

const forEver = (): Promise<never> => new Promise<never>(() => undefined);

/** `answers`: what is found of the server by one question after the other; when they run out it answers no more questions. */
function begin(answers: readonly ("silent" | "answers")[] = []) {
  const ports = manualPorts();
  const left = [...answers];
  const askedAtMs: number[] = [];
  const cuts: Error[] = [];
  const watch = new SilenceWatch({
    clock: ports.clock,
    timers: ports.timers,
    logger: silentLogger,
    isSilent() {
      askedAtMs.push(ports.clock.monotonic());
      const answer = left.shift();
      return answer === undefined ? forEver() : Promise.resolve(answer === "silent");
    },
    cut: (error) => void cuts.push(error),
  });
  const outcomes: string[] = [];
  const guard = (work: Promise<string>): void =>
    void watch
      .guard(() => work)
      .then(
        (value) => outcomes.push(value),
        (error: unknown) => outcomes.push(error instanceof ServerSilentError ? "silent" : String(error)),
      );
  return { ports, watch, askedAtMs, cuts, outcomes, guard };
}

describe("the watch for a silent server", () => {
  it("asks nothing while answers come in time, however many wait at any moment", async () => {
    const { ports, guard, askedAtMs, outcomes } = begin();
    for (let n = 0; n < 20; n += 1) {
      let answer: (value: string) => void = () => undefined;
      guard(new Promise((resolve) => (answer = resolve)));
      ports.timers.after(900, () => answer("done"));
      await ports.advance(450);
    }
    await ports.advance(10_000);
    expect(outcomes).toHaveLength(20);
    expect(askedAtMs).toEqual([]);
  });

  it("leaves what takes its time to it, and asks again now and then", async () => {
    const { ports, guard, askedAtMs, outcomes, cuts } = begin(["answers", "answers", "silent"]);
    guard(forEver());
    await ports.advance(10_999);
    expect({ askedAtMs, outcomes, cuts }).toEqual({ askedAtMs: [1_000, 6_000], outcomes: [], cuts: [] });
    await ports.advance(1);
    expect(outcomes).toEqual(["silent"]);
  });

  it("tells all who wait of a silent server, ends its connections once, and who comes later at once, until it answers", async () => {
    const { ports, watch, guard, outcomes, cuts } = begin(["silent", "silent", "answers"]);
    let isGivenUp = (): boolean => false;
    void watch
      .guard((given) => {
        isGivenUp = given;
        return forEver();
      })
      .catch(() => undefined);
    guard(forEver());
    expect(isGivenUp()).toBe(false);
    await ports.advance(1_000);
    expect(isGivenUp()).toBe(true);
    expect(outcomes).toEqual(["silent"]);
    expect(cuts).toHaveLength(1);
    guard(Promise.resolve("after it"));
    await ports.settle();
    expect(outcomes).toEqual(["silent", "after it"]);
  });

  it("does not begin what comes while the server is known to be silent", async () => {
    const { ports, watch, guard } = begin(["silent"]);
    guard(forEver());
    await ports.advance(1_000);
    const work = (): never => {
      throw new Error("begun");
    };
    await expect(watch.guard(work)).rejects.toThrow("the database has not answered for 4.5 s or more");
  });

  it("asks no more when it was stopped, and passes on how work fails", async () => {
    const { ports, watch, guard, askedAtMs, outcomes } = begin();
    guard(Promise.reject(new Error("bad")));
    guard(forEver());
    watch.stop();
    await ports.advance(60_000);
    expect(outcomes).toEqual(["Error: bad"]);
    expect(askedAtMs).toEqual([]);
  });
});
