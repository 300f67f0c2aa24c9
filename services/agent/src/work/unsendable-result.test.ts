import { wire } from "@headroom/contracts";
import { expect, it } from "vitest";
import {
  assign,
  attemptA,
  attemptB,
  freshAgentForEachTest,
  logger,
  ports,
  runner,
  sentOf,
  stream,
  welcome,
} from "./work-desk.test-helper.ts";

freshAgentForEachTest();

/** As the real stream does with each message; what it throws fails the stream. */
function encodeAllSent(): void {
  for (const message of stream().sent) wire.AttachRequest.encode(message).finish();
}

it("a crash on Windows, whose code has no sign there, is told with the code as a signed number", async () => {
  await welcome();
  await assign(attemptA);
  runner.runs[0]?.finish({ exitCode: 0xc000_0005 });
  await ports.settle();
  expect(sentOf("finished").map(({ exitCode }) => exitCode)).toEqual([-1_073_741_819]);
  encodeAllSent();
});

it.each([
  ["an exit code that is none", { exitCode: 2 ** 40 }, undefined],
  ["a time that is none", { exitCode: 0, endedAtMs: Number.NaN }, 0],
])("a result with %s is told in short, and the stream goes on", async (_what, end, exitCode) => {
  await welcome();
  await assign(attemptA);
  await assign(attemptB);
  runner.runs[0]?.finish(end);
  await ports.settle();
  expect(sentOf("finished")).toMatchObject([
    {
      attemptId: attemptA,
      outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_EXITED,
      exitCode,
      sentence: expect.stringContaining("could not be sent"),
    },
  ]);
  expect(logger.has("a result cannot be sent as it is", "error")).toBe(true);
  runner.runs[1]?.finish({ exitCode: 3 });
  await ports.settle();
  expect(sentOf("finished").map((finished) => finished.exitCode)).toEqual([exitCode, 3]);
  encodeAllSent();
});
