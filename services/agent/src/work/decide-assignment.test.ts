import { describe, expect, it } from "vitest";
import { decideAssignment, type AssignmentContext } from "./decide-assignment.ts";

const welcome: AssignmentContext = {
  stopping: false,
  ownerHold: false,
  isFull: false,
  isOverfull: false,
  isUnfit: false,
  isLate: false,
  wasAcked: false,
  refused: null,
};
const unwelcome: AssignmentContext = {
  ...welcome,
  stopping: true,
  ownerHold: true,
  isFull: true,
  isOverfull: true,
  isLate: true,
};

describe("decideAssignment", () => {
  it("runs what is new", () => {
    expect(decideAssignment(1, null, welcome)).toEqual({ kind: "run" });
  });

  it.each([
    ["STOPPING", { stopping: true }],
    ["OWNER_HOLD", { ownerHold: true }],
    ["TOO_LATE", { isLate: true }],
    ["TOO_MANY_ATTEMPTS", { isFull: true }],
    ["NO_ROOM", { isOverfull: true }],
    ["CANNOT_START", { isUnfit: true }],
    ["ALREADY_FINISHED", { wasAcked: true }],
  ] as const)("refuses with %s", (reason, context) => {
    expect(decideAssignment(1, null, { ...welcome, ...context })).toEqual({ kind: "refuse", reason });
  });

  it("never refuses what it has already, however unwelcome: it runs or has run", () => {
    for (const isFinished of [false, true]) {
      expect(decideAssignment(1, { fence: 1, isFinished }, unwelcome)).toEqual({ kind: "answer_again" });
      expect(decideAssignment(2, { fence: 1, isFinished }, unwelcome)).toEqual({ kind: "adopt" });
      expect(decideAssignment(1, { fence: 2, isFinished }, welcome)).toEqual({ kind: "refuse", reason: "STALE_FENCE" });
    }
  });

  it("keeps a refusal for copies of the same assignment, and takes a higher fence", () => {
    const refused = { fence: 3, reason: "TOO_LATE" } as const;
    expect(decideAssignment(3, null, { ...welcome, refused })).toEqual({ kind: "refuse", reason: "TOO_LATE" });
    expect(decideAssignment(4, null, { ...welcome, refused })).toEqual({ kind: "run" });
  });
});
