import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { settle } from "./manual-ports.test-helper.ts";
import {
  BoundedQueue,
  Broadcast,
  createDeferred,
  createSignal,
  LaggedError,
  OverloadedError,
  Semaphore,
} from "./index.ts";

async function readAll<T>(queue: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of queue) items.push(item);
  return items;
}

describe("BoundedQueue", () => {
  it("gives items in order, and ends after them when closed", async () => {
    const queue = new BoundedQueue<number>({ max: 10 });
    const read = readAll(queue);
    for (const item of [1, 2, 3]) queue.push(item);
    await settle();
    queue.push(4);
    queue.close();
    queue.close(new Error("too late to count"));
    expect(queue.push(5)).toBe(false);
    expect(await read).toEqual([1, 2, 3, 4]);
  });

  it("when full it refuses, or drops the oldest and counts", async () => {
    const refusing = new BoundedQueue<number>({ max: 2 });
    expect([1, 2, 3].map((item) => refusing.push(item))).toEqual([true, true, false]);
    refusing.close();
    expect(await readAll(refusing)).toEqual([1, 2]);
    const dropping = new BoundedQueue<number>({ max: 2, whenFull: "drop_oldest" });
    expect([1, 2, 3].map((item) => dropping.push(item))).toEqual([true, true, true]);
    dropping.close();
    expect(dropping.dropped).toBe(1);
    expect(await readAll(dropping)).toEqual([2, 3]);
    expect(() => new BoundedQueue({ max: 0 })).toThrow(RangeError);
  });

  it("an error reaches the reader after the items, whether it waits or comes later", async () => {
    const waiting = new BoundedQueue<number>({ max: 2 });
    const read = expect(readAll(waiting)).rejects.toThrow("cut");
    await settle();
    waiting.close(new Error("cut"));
    await read;
    expect(await waiting.next()).toEqual({ done: true, value: undefined });
    const later = new BoundedQueue<number>({ max: 2 });
    later.push(1);
    later.close(new Error("cut"));
    expect(await later.next()).toEqual({ done: false, value: 1 });
    await expect(later.next()).rejects.toThrow("cut");
    expect(await later.next()).toEqual({ done: true, value: undefined });
  });

  it("a reader that leaves closes it; waiting readers are bounded", async () => {
    const queue = new BoundedQueue<number>({ max: 5 });
    queue.push(1);
    queue.push(2);
    for await (const item of queue) if (item === 1) break;
    expect([queue.closed, queue.size, queue.push(3)]).toEqual([true, 0, false]);
    const small = new BoundedQueue<number>({ max: 1 });
    const first = small.next();
    await expect(small.next()).rejects.toThrow(RangeError);
    small.push(1);
    expect(await first).toEqual({ done: false, value: 1 });
  });

  it("no order of pushes and reads loses, doubles or reorders what was taken", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("push", "read"), { maxLength: 60 }),
        fc.integer({ min: 1, max: 5 }),
        async (steps, max) => {
          const queue = new BoundedQueue<number>({ max });
          const taken: number[] = [];
          const reads: Promise<IteratorResult<number, undefined> | "too many">[] = [];
          for (const [index, step] of steps.entries()) {
            if (step === "push") {
              if (queue.push(index)) taken.push(index);
              expect(queue.size).toBeLessThanOrEqual(max);
            } else reads.push(queue.next().catch(() => "too many" as const));
          }
          queue.close();
          const read = (await Promise.all(reads)).flatMap((result) =>
            result === "too many" || result.done === true ? [] : [result.value],
          );
          expect([...read, ...(await readAll(queue))]).toEqual(taken);
        },
      ),
    );
  });
});

describe("Semaphore", () => {
  it("lets at most max in, first come first served", async () => {
    const semaphore = new Semaphore(2);
    const order: number[] = [];
    const gates = [0, 1, 2, 3].map(() => createDeferred());
    const all = gates.map((gate, index) =>
      semaphore.run(async () => {
        order.push(index);
        await gate.promise;
      }),
    );
    await settle();
    expect(order).toEqual([0, 1]);
    gates[1]?.resolve();
    await settle();
    expect(order).toEqual([0, 1, 2]);
    for (const gate of gates) gate.resolve();
    await Promise.all(all);
    expect(order).toEqual([0, 1, 2, 3]);
  });

  it("gives the place back after an error, once, and refuses when too many wait", async () => {
    const semaphore = new Semaphore(1, 1);
    await expect(semaphore.run(() => Promise.reject(new Error("x")))).rejects.toThrow("x");
    const release = await semaphore.acquire();
    const second = semaphore.acquire();
    await settle();
    await expect(semaphore.acquire()).rejects.toBeInstanceOf(OverloadedError);
    release();
    release();
    const releaseSecond = await second;
    const third = semaphore.acquire();
    await settle();
    expect(semaphore.waiting).toBe(1);
    releaseSecond();
    (await third)();
  });

  it("one who gives up waiting takes no place", async () => {
    const semaphore = new Semaphore(1);
    const release = await semaphore.acquire();
    const abort = new AbortController();
    const waiting = expect(semaphore.acquire(abort.signal)).rejects.toThrow("gave up");
    await settle();
    abort.abort(new Error("gave up"));
    await waiting;
    await expect(semaphore.acquire(abort.signal)).rejects.toThrow("gave up");
    release();
    (await semaphore.acquire())();
    expect(semaphore.waiting).toBe(0);
  });
});

describe("createSignal", () => {
  it("keeps one ring for the next wait, and wakes who waits", async () => {
    const signal = createSignal();
    signal.notify();
    signal.notify();
    await signal.wait();
    let woken = false;
    const wait = signal.wait().then(() => void (woken = true));
    await settle();
    expect(woken).toBe(false);
    signal.notify();
    await wait;
  });

  it("an abort ends the wait and does not eat a ring", async () => {
    const signal = createSignal();
    const abort = new AbortController();
    const wait = expect(signal.wait(abort.signal)).rejects.toThrow("enough");
    abort.abort(new Error("enough"));
    await wait;
    signal.notify();
    await expect(signal.wait(abort.signal)).rejects.toThrow("enough");
    await signal.wait();
  });
});

describe("Broadcast", () => {
  it("tells every subscriber what comes from now on, and ends them when closed", async () => {
    const broadcast = new Broadcast<string>();
    broadcast.emit("before");
    const reads = [readAll(broadcast.subscribe()), readAll(broadcast.subscribe())];
    const heard: string[] = [];
    const leave = broadcast.on((value) => heard.push(value));
    broadcast.emit("one");
    leave();
    leave();
    broadcast.emit("two");
    expect(broadcast.subscribers).toBe(2);
    broadcast.close();
    broadcast.close();
    expect(await Promise.all(reads)).toEqual([
      ["one", "two"],
      ["one", "two"],
    ]);
    expect(heard).toEqual(["one"]);
    expect(broadcast.subscribers).toBe(0);
    expect(await readAll(broadcast.subscribe())).toEqual([]);
  });

  it("one who is too slow ends with LaggedError, or misses the oldest", async () => {
    const ending = new Broadcast<number>({ queueMax: 2 });
    const slow = ending.subscribe();
    for (const value of [1, 2, 3]) ending.emit(value);
    expect(ending.subscribers).toBe(0);
    expect(await slow.next()).toEqual({ done: false, value: 1 });
    expect(await slow.next()).toEqual({ done: false, value: 2 });
    await expect(slow.next()).rejects.toBeInstanceOf(LaggedError);
    const dropping = new Broadcast<number>({ queueMax: 2, whenSlow: "drop_oldest" });
    const lazy = dropping.subscribe();
    for (const value of [1, 2, 3]) dropping.emit(value);
    dropping.close();
    expect(await readAll(lazy)).toEqual([2, 3]);
  });

  it("who leaves the loop or aborts is forgotten; the number of subscribers is bounded", async () => {
    const broadcast = new Broadcast<number>({ maxSubscribers: 1 });
    const queue = broadcast.subscribe();
    expect(() => broadcast.subscribe()).toThrow(OverloadedError);
    expect(() => broadcast.on(() => undefined)).toThrow(OverloadedError);
    broadcast.emit(1);
    for await (const _ of queue) break;
    expect(broadcast.subscribers).toBe(0);
    const abort = new AbortController();
    const read = readAll(broadcast.subscribe(abort.signal));
    abort.abort();
    expect(await read).toEqual([]);
    expect(broadcast.subscribers).toBe(0);
  });

  it("a listener that throws hurts nobody else", () => {
    const errors: unknown[] = [];
    const heard: number[] = [];
    const broadcast = new Broadcast<number>({ onListenerError: (error) => errors.push(error) });
    broadcast.on(() => {
      throw new Error("bad listener");
    });
    broadcast.on((value) => heard.push(value));
    broadcast.emit(1);
    expect([heard, errors.length]).toEqual([[1], 1]);
  });
});
