import { expect, it } from "vitest";
import {
  assign,
  attemptA,
  freshAgentForEachTest,
  ports,
  reconnect,
  runner,
  say,
  sentOf,
  stores,
  stream,
  supervisor,
  welcome,
} from "./work-desk.test-helper.ts";

freshAgentForEachTest();

/** A task whose result is acknowledged while its output waits for room on the stream. */
async function acknowledgedBeforeItsOutput(fence: number): Promise<void> {
  await welcome();
  await assign(attemptA, fence);
  stream().isFull = true;
  await runner.runs[0]?.sink("stdout", Buffer.from("so far\n"));
  await ports.advance(100);
  await runner.runs[0]?.sink("stdout", Buffer.from("the end\n"));
  runner.runs[0]?.finish();
  await ports.advance(2_000);
  expect(sentOf("finished")).toMatchObject([{ attemptId: attemptA, fence, lastOutputSeq: 2 }]);
  await say({ $case: "finishedAck", value: { attemptId: attemptA, refused: false } });
  expect(supervisor.get(attemptA)).toBeUndefined();
}

it("output of an acknowledged attempt is sent over the next stream under the attempt's own fence, until it is delivered", async () => {
  await acknowledgedBeforeItsOutput(3);
  await reconnect();
  expect(sentOf("output").map(({ fence, seq, data }) => [fence, seq, data.toString()])).toEqual([
    [3, 1, "so far\n"],
    [3, 2, "the end\n"],
  ]);
  await say({ $case: "outputAck", value: { attemptId: attemptA, seq: 2 } });
  expect(await stores.list()).toEqual([]);
});
