import { captureLogger, manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import type { HoldRecord } from "../store/model.ts";
import { createQueueHoldView } from "./queue-hold-view.ts";

const hold: HoldRecord = { reason: "power work", heldBy: "ana", heldAtMs: 0 };
const failed = (code: string): Error => Object.assign(new Error(code), { code });

/** Answers with these in turn, and with the last one for ever. */
function scene(...answers: readonly (Error | HoldRecord | null)[]) {
  let looks = 0;
  const ports = manualPorts();
  const view = createQueueHoldView({
    store: {
      queueHold() {
        const answer = answers[Math.min(looks, answers.length - 1)] ?? null;
        looks += 1;
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
    },
    notifier: { notify: () => undefined },
    listener: null,
    ports,
    logger: captureLogger(),
    onRelease: () => undefined,
    watch: { answered: () => undefined, failed: () => undefined },
  });
  return { view, ports, looks: () => looks };
}

describe("the first look at whether the queue is held", () => {
  it("waits for a database that is away", async () => {
    const { view, ports } = scene(failed("ECONNREFUSED"), failed("53100"), hold);
    const started = view.start();
    await ports.advance(2_000);
    await started;
    expect(view.current()).toEqual(hold);
    await view.stop();
  });

  it("throws at once what waiting cannot heal", async () => {
    const { view, looks } = scene(failed("42501"));
    await expect(view.start()).rejects.toThrow("42501");
    expect(looks()).toBe(1);
  });
});
