import { manualPorts } from "@headroom/testing";
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
    const admission = createAdmission(manualPorts().timers);
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
    const waiting = createAdmission(manualPorts().timers).whenAdmitted(leaves.signal);
    leaves.abort();
    expect(await isSettled(waiting)).toBe(true);
    expect(await isSettled(createAdmission(manualPorts().timers).whenAdmitted(leaves.signal))).toBe(true);
  });

  it("comes after 10 s without a word of the registry, and not by a moment in which it cannot tell", async () => {
    const ports = manualPorts();
    const admission = createAdmission(ports.timers);
    const waiting = admission.whenAdmitted(never);
    admission.unheard();
    await ports.advance(9_000);
    admission.unheard();
    expect(await isSettled(waiting)).toBe(false);
    // A copy is not let in by what it was told before, nor by a registry that stumbles once more.
    admission.refused();
    await ports.advance(9_000);
    admission.unheard();
    await ports.advance(9_000);
    expect(await isSettled(waiting)).toBe(false);
    await ports.advance(1_000);
    expect(await isSettled(waiting)).toBe(true);
    // Who has been let in is not asked again.
    admission.unheard();
    expect(ports.timers.pendingDelays()).toEqual([]);
  });
});
