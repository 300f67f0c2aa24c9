import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { Outbox } from "./outbox.ts";
import { cancelMessage, finishedAckMessage, type ToAgent } from "./wire-messages.ts";

const nextTurn = async (): Promise<void> => {
  await Promise.resolve();
};

function assignment(attemptId: string, argument = ""): ToAgent {
  const value = wire.Assignment.fromPartial({ attemptId, command: { argv: ["work", argument] } });
  return { message: { $case: "assignment", value } };
}

/** What was sent, in short: a message of several in brackets. */
function setUp(takesItems: boolean): { readonly outbox: Outbox; readonly sent: string[] } {
  const sent: string[] = [];
  const named = (said: ToAgent["message"] | wire.WorkItem["item"]): string =>
    said?.$case === "items"
      ? `[${said.value.items.map(({ item }) => named(item)).join(" ")}]`
      : `${said?.$case} ${said !== undefined && "attemptId" in said.value ? said.value.attemptId : ""}`;
  return { outbox: new Outbox(({ message }) => void sent.push(named(message)), takesItems), sent };
}

describe("what goes down a work stream", () => {
  it("assignments and acknowledgements of one moment are one message; what follows never overtakes them", async () => {
    const { outbox, sent } = setUp(true);
    outbox.send(assignment("a"));
    outbox.send(finishedAckMessage("b", false));
    outbox.send(cancelMessage({ attemptId: "a", fence: 1 }, "asked to"));
    outbox.send(assignment("c"));
    expect(sent).toEqual(["[assignment a finishedAck b]", "cancel a"]);
    await nextTurn();
    expect(sent.slice(2)).toEqual(["assignment c"]);
  });

  it("goes one by one to an agent that does not know several", () => {
    const { outbox, sent } = setUp(false);
    outbox.send(assignment("a"));
    outbox.send(finishedAckMessage("b", false));
    expect(sent).toEqual(["assignment a", "finishedAck b"]);
  });

  it("commands that are long are not put together beyond what a message may be", async () => {
    const { outbox, sent } = setUp(true);
    for (const id of ["a", "b", "c"]) outbox.send(assignment(id, "x".repeat(120_000)));
    await nextTurn();
    expect(sent).toEqual(["[assignment a assignment b]", "assignment c"]);
  });

  it("no message holds more than the contract allows", async () => {
    const { outbox, sent } = setUp(true);
    for (let number = 0; number < 600; number += 1) outbox.send(finishedAckMessage(String(number), false));
    await nextTurn();
    expect(sent.map((message) => message.split("finishedAck").length - 1)).toEqual([256, 256, 88]);
  });
});
