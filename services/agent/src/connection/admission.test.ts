import { describe, expect, it } from "vitest";
import { createAdmission } from "./admission.ts";
import { leaveReasonOf } from "./leave.ts";

const isSettled = async (promise: Promise<void>): Promise<boolean> => {
  let settled = false;
  void promise.then(() => (settled = true));
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
};
const { signal: never } = new AbortController();

describe("an agent's admission", () => {
  it("is waited for until the registry has said something, and after it has taken the program for a copy", async () => {
    const admission = createAdmission();
    const first = admission.whenAdmitted(never);
    expect(await isSettled(first)).toBe(false);
    admission.refused();
    expect(await isSettled(first)).toBe(false);
    admission.admitted();
    expect(await isSettled(first)).toBe(true);
    expect(await isSettled(admission.whenAdmitted(never))).toBe(true);
    const session = admission.untilRefused();
    admission.refused();
    expect(leaveReasonOf(session)).toBe("reconnect");
    const again = admission.whenAdmitted(never);
    expect(await isSettled(again)).toBe(false);
    expect(admission.untilRefused().aborted).toBe(false);
    admission.admitted();
    expect(await isSettled(again)).toBe(true);
  });

  it("is waited for no longer than somebody wants to", async () => {
    const leaves = new AbortController();
    const waiting = createAdmission().whenAdmitted(leaves.signal);
    leaves.abort();
    expect(await isSettled(waiting)).toBe(true);
    expect(await isSettled(createAdmission().whenAdmitted(leaves.signal))).toBe(true);
  });
});
