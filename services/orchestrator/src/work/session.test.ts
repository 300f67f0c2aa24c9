import { wire } from "@headroom/contracts";
import { silentLogger } from "@headroom/runtime";
import { expect, it } from "vitest";
import type { AssignmentToSend } from "../store/model.ts";
import { KeyedChains } from "./keyed-chains.ts";
import { Session, type WorkStream } from "./session.ts";
import { welcomeMessage } from "./wire-messages.ts";

/** What its agent hears, in short, once it is welcome. */
function setUp(): { readonly session: Session; readonly heard: string[] } {
  const heard: string[] = [];
  const send = ({ message }: wire.AttachResponse): boolean => {
    const about = message !== undefined && "attemptId" in message.value ? ` ${message.value.attemptId}` : "";
    heard.push(`${message?.$case}${about}`);
    return true;
  };
  const session = new Session({
    agentId: "agent",
    sessionId: "session",
    stream: { send, fail: () => undefined } as Partial<WorkStream> as WorkStream,
    logger: silentLogger,
    takesItems: false,
    inWork: new KeyedChains(1, 1),
    clock: { monotonic: () => 0 },
  });
  return { session, heard };
}

const assignment = (attemptId: string, cancelRequested = false, fence = 1): AssignmentToSend => ({
  attemptId,
  fence,
  taskId: "task",
  planId: "plan",
  taskName: "",
  agentId: "agent",
  command: { argv: ["work"], env: {}, workingDir: null },
  amounts: { cpuMillicores: 1_000, memoryMib: 0, cards: [] },
  cardIndexes: [],
  runTimeoutMs: null,
  workLeaseMs: 60_000,
  acceptWithinMs: 10_000,
  cancelRequested,
});

it("a cancellation that overtook its assignment is said again right behind it, also before the welcome", () => {
  const { session, heard } = setUp();
  session.cancel({ attemptId: "a", fence: 1 }, "asked to");
  session.assign(assignment("a"));
  session.assign(assignment("b"));
  session.welcome(welcomeMessage("one", 3_000, []));
  session.cancel({ attemptId: "c", fence: 1 }, "asked to");
  session.assign(assignment("c"));
  expect(heard).toEqual([
    "welcome",
    "cancel a",
    "assignment a",
    "cancel a",
    "assignment b",
    "cancel c",
    "assignment c",
    "cancel c",
  ]);
});

it("what the store knows as cancelled is sent with its cancellation; that of another fence is another's", () => {
  const { session, heard } = setUp();
  session.welcome(welcomeMessage("one", 3_000, []));
  session.cancel({ attemptId: "a", fence: 1 }, "given up");
  session.assign(assignment("a", false, 2));
  session.assign(assignment("b", true));
  expect(heard).toEqual(["welcome", "cancel a", "assignment a", "assignment b", "cancel b"]);
});

it("its agent may speak of what was sent to it, under that fence and once", () => {
  const { session } = setUp();
  session.assign(assignment("a"));
  expect(session.takeSent({ attemptId: "a", fence: 2 })).toBe(false);
  expect(session.takeSent({ attemptId: "b", fence: 1 })).toBe(false);
  expect(session.takeSent({ attemptId: "a", fence: 1 })).toBe(true);
  expect(session.takeSent({ attemptId: "a", fence: 1 })).toBe(false);
});

it("V8: what a stream still has in work counts no more from the moment at which a newer one of its agent is there", () => {
  const { session } = setUp();
  const { signal } = session.patience("a");
  expect(signal.aborted).toBe(false);
  session.supersede();
  expect([signal.aborted, session.isClosed]).toEqual([true, true]);
});

it("I7: a result that is in work at two renewals waits, whatever it is that it waits for; one that is written meanwhile does not", () => {
  const { session } = setUp();
  const [slow, quick, again] = ["a", "b", "c"].map((attemptId) => ({ attemptId, fence: 1 }));
  for (const result of [slow!, quick!, again!]) session.results.add(result);
  expect(session.waitingResults()).toEqual([]);
  session.results.take(quick!);
  session.results.take(again!);
  session.results.add({ ...again!, fence: 2 });
  expect(session.waitingResults()).toEqual([slow]);
  session.results.take(slow!);
  expect(session.waitingResults()).toEqual([{ ...again!, fence: 2 }]);
});
