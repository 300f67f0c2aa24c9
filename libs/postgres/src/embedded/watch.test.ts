import { describe, expect, it } from "vitest";
import { captureLogger, manualPorts, waitFor } from "@headroom/testing";
import { EmbeddedPostgresError, InitFailedError } from "./errors.ts";
import type { Postmaster } from "./postmaster.ts";
import { processStartTime } from "@headroom/runtime";
import { watchServer } from "./watch.ts";

const dead: Postmaster = { pid: 2 ** 22 + 1, startTime: "boot 1" };

async function alive(): Promise<Postmaster> {
  return { pid: process.pid, startTime: (await processStartTime(process.pid)) ?? "" };
}

describe("the supervisor's watch", () => {
  it("gives up after ten failures in a row, and says so", async () => {
    const ports = manualPorts();
    const logger = captureLogger();
    let restarts = 0;
    let gaveUp: Error | undefined;
    const watch = watchServer({
      postmaster: dead,
      dataDir: "/nowhere",
      ports,
      logger,
      restart() {
        restarts += 1;
        return Promise.reject(new Error("port taken"));
      },
      tidy: () => Promise.resolve(),
      onGaveUp: (error) => (gaveUp = error),
    });
    await waitFor(async () => {
      await ports.advance(1_000);
      return gaveUp;
    });
    expect(restarts).toBe(10);
    expect(gaveUp).toBeInstanceOf(EmbeddedPostgresError);
    expect(gaveUp?.message).toContain("10 times in a row");
    expect(gaveUp?.cause).toMatchObject({ message: "port taken" });
    expect(logger.has("left alone", "error")).toBe(true);
    // Errors reach the terminal: PostgreSQL's own lines are for the file.
    const lost = logger.records.find(({ message }) => message.startsWith("PostgreSQL ended unexpectedly"));
    expect(lost).toMatchObject({ level: "error", fields: { log_dir: "/nowhere/log" } });
    const withTail = logger.records.filter(({ fields }) => "log_tail" in fields);
    expect(withTail.map(({ level }) => level)).toEqual(["info"]);
    expect(watch.pid()).toBeNull();
    await watch.stop();
    expect(ports.timers.pendingDelays()).toEqual([]);
  });

  it("waits for room on a full disk, however long", async () => {
    const ports = manualPorts();
    const logger = captureLogger();
    let restarts = 0;
    let gaveUp: Error | undefined;
    const watch = watchServer({
      postmaster: dead,
      dataDir: "/nowhere",
      ports,
      logger,
      async restart() {
        restarts += 1;
        if (restarts > 30) return alive();
        throw new InitFailedError("it did not start", "PANIC:  could not write to file: No space left on device");
      },
      tidy: () => Promise.resolve(),
      onGaveUp: (error) => (gaveUp = error),
    });
    await waitFor(async () => {
      await ports.advance(1_000);
      // The dead server's pid is told until it has been looked at.
      return (restarts > 30 && watch.pid() !== null) || gaveUp !== undefined;
    });
    expect(gaveUp).toBeUndefined();
    expect(restarts).toBe(31);
    expect(logger.records.filter(({ message }) => message.startsWith("the disk is full"))).toHaveLength(1);
    await watch.stop();
  });

  it("tidies once a minute, leaves a living server alone, and stops twice", async () => {
    const ports = manualPorts();
    let restarts = 0;
    let tidied = 0;
    const postmaster = await alive();
    const watch = watchServer({
      postmaster,
      dataDir: "/nowhere",
      ports,
      logger: captureLogger(),
      restart() {
        restarts += 1;
        return alive();
      },
      tidy() {
        tidied += 1;
        return Promise.reject(new Error("disk trouble"));
      },
      onGaveUp: () => undefined,
    });
    await waitFor(async () => {
      await ports.advance(500);
      return tidied === 2;
    });
    expect(ports.clock.monotonic()).toBeGreaterThanOrEqual(120_000);
    expect(restarts).toBe(0);
    expect(watch.pid()).toBe(process.pid);
    await Promise.all([watch.stop(), watch.stop()]);
  });
});
