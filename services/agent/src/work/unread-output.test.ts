import { expect, it } from "vitest";
import type { OutputStores } from "../output/segment-store.ts";
import {
  assign,
  attach,
  attemptA,
  boot,
  freshAgentForEachTest,
  logger,
  ports,
  runner,
  say,
  sentOf,
  stores,
  stream,
  useStores,
  welcome,
} from "./work-desk.test-helper.ts";

freshAgentForEachTest();

/** An agent whose disk does not give back what it took, for as long as a test says. */
async function withABadDisk(): Promise<{ isBad: boolean }> {
  const disk = { isBad: true };
  const stopped = attach.stop();
  stream().close();
  await stopped;
  const good = stores;
  const bad: OutputStores = {
    ...good,
    open(attemptId) {
      const store = good.open(attemptId);
      return { ...store, read: (chunk) => (disk.isBad ? Promise.reject(new Error("EIO")) : store.read(chunk)) };
    },
  };
  useStores(bad);
  await boot();
  await welcome();
  return disk;
}

async function renewals(count: number): Promise<void> {
  for (let each = 0; each < count; each += 1) {
    await say({ $case: "renewed", value: { attemptIds: [], unwantedAttemptIds: [] } });
    await ports.advance(20_000);
  }
}

it("output that could not be read once is sent over the same stream, also after its attempt was acknowledged", async () => {
  const disk = await withABadDisk();
  await assign(attemptA);
  await runner.runs[0]?.sink("stdout", Buffer.from("hello"));
  runner.runs[0]?.finish();
  await ports.settle();
  expect(sentOf("finished")).toHaveLength(1);
  await say({ $case: "finishedAck", value: { attemptId: attemptA, refused: false } });
  disk.isBad = false;
  await renewals(1);
  expect(sentOf("output").map(({ data }) => data.toString())).toEqual(["hello"]);
  await say({ $case: "outputAck", value: { attemptId: attemptA, seq: 1 } });
  expect(await stores.list()).toEqual([]);
  expect(sentOf("finished")).toHaveLength(1);
});

it("output that stays unreadable is said once, and a note takes its place", async () => {
  await withABadDisk();
  await assign(attemptA);
  await runner.runs[0]?.sink("stdout", Buffer.from("hello"));
  runner.runs[0]?.finish();
  await ports.settle();
  await renewals(4);
  expect(sentOf("output").map(({ data }) => data.toString())).toEqual([
    expect.stringContaining("5 bytes of output left out here"),
  ]);
  expect(
    logger.records.filter(({ level, message }) => level === "warn" && message.includes("cannot be read")),
  ).toHaveLength(1);
  await say({ $case: "outputAck", value: { attemptId: attemptA, seq: 1 } });
  await say({ $case: "finishedAck", value: { attemptId: attemptA, refused: false } });
  expect(await stores.list()).toEqual([]);
});
