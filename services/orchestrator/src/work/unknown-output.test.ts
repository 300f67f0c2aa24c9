import { wire } from "@headroom/contracts";
import { systemPorts } from "@headroom/runtime";
import { captureLogger } from "@headroom/testing";
import { expect, it } from "vitest";
import type { AttemptKnown } from "../store/model.ts";
import type { OrchestratorStore } from "../store/port.ts";
import { type AgentMessagesOptions, createAgentMessages } from "./agent-messages.ts";
import { KeyedChains } from "./keyed-chains.ts";
import { Session, type WorkStream } from "./session.ts";

const attemptId = "0469d56d-2b5a-478c-a20d-2e9b78ac6edb";
const known: AttemptKnown = {
  attemptId,
  fence: 3,
  taskId: "task",
  planId: "plan",
  agentId: "agent",
  state: "succeeded",
  sent: true,
  cancelRequested: false,
};

function pieceOf(fence: number, seq: number, text: string): wire.AttemptOutput {
  const stream = wire.OutputStream.OUTPUT_STREAM_STDOUT;
  return wire.AttemptOutput.fromPartial({ attemptId, fence, seq, stream, data: Buffer.from(text) });
}

/** The messages of one agent, whose output a store takes under no fence but the attempt's own. */
function unknownOutputs(attempts: readonly AttemptKnown[]) {
  const logger = captureLogger();
  const acked: number[] = [];
  const stream = {
    send: ({ message }: wire.AttachResponse) =>
      message?.$case === "outputAck" ? acked.push(message.value.seq) > 0 : true,
  } as unknown as WorkStream;
  const session = new Session({
    agentId: "agent",
    sessionId: "session",
    stream,
    logger,
    takesItems: false,
    inWork: new KeyedChains(1, 1),
    clock: systemPorts.clock,
  });
  session.welcome({});
  const store: Pick<OrchestratorStore, "appendOutput" | "findAttempts"> = {
    appendOutput: () => Promise.resolve(null),
    findAttempts: () => Promise.resolve(attempts),
  };
  const messages = createAgentMessages({ store, ports: systemPorts } as unknown as AgentMessagesOptions);
  return { logger, acked, output: (...pieces: wire.AttemptOutput[]) => messages.output(session, pieces) };
}

it("output that is dropped is told in the log once for each attempt, with whose it is and how much", async () => {
  const { logger, acked, output } = unknownOutputs([known]);
  await output(pieceOf(1, 1, "hello "), pieceOf(1, 2, "world"));
  await output(pieceOf(1, 3, "!"));
  expect(acked).toEqual([2, 3]);
  expect(logger.records).toMatchObject([
    {
      level: "warn",
      message: expect.stringContaining("output of an unknown attempt is dropped"),
      fields: { attempt_id: attemptId, task_id: "task", fence: 1, known_fence: 3, bytes: 11 },
    },
  ]);
});

it("output of an attempt that nobody knows is told too", async () => {
  const { logger, acked, output } = unknownOutputs([]);
  await output(pieceOf(1, 1, "hello"));
  expect(acked).toEqual([1]);
  expect(logger.records.map(({ fields }) => [fields["attempt_id"], fields["task_id"], fields["bytes"]])).toEqual([
    [attemptId, undefined, 5],
  ]);
});
