import { describe, expect, it } from "vitest";
import { captureLogger } from "./capture-logger.ts";
import { waitFor } from "./wait-for.ts";

describe("waitFor", () => {
  it("resolves with the first real value, and takes an error for not yet", async () => {
    let calls = 0;
    const value = await waitFor(() => {
      calls += 1;
      if (calls === 1) throw new Error("not yet");
      return calls < 4 ? null : calls;
    });
    expect(value).toBe(4);
  });

  it("rejects with what was waited for and the last error", async () => {
    const waiting = waitFor(() => Promise.reject(new Error("still broken")), { timeoutMs: 20, describe: "the moon" });
    await expect(waiting).rejects.toMatchObject({
      message: "waited 20 ms in vain for: the moon",
      cause: { message: "still broken" },
    });
  });

  it("returns 0 and empty strings as values", async () => {
    expect(await waitFor(() => 0)).toBe(0);
    expect(await waitFor(() => "")).toBe("");
  });
});

describe("captureLogger", () => {
  it("keeps records with the fields of child loggers", () => {
    const logger = captureLogger();
    logger.child({ plan_id: "p" }).child({ task_id: "t" }).warn({ count: 2 }, "two left");
    logger.info("plain");
    expect(logger.records).toEqual([
      { level: "warn", message: "two left", fields: { plan_id: "p", task_id: "t", count: 2 } },
      { level: "info", message: "plain", fields: {} },
    ]);
    expect(logger.has("two", "warn")).toBe(true);
    expect(logger.has(/^two$/)).toBe(false);
    logger.clear();
    expect(logger.text()).toBe("");
  });
});
