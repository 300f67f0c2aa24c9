import { captureLogger } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { tellingLogger } from "./telling-logger.ts";

describe("a logger that tells", () => {
  it("says errors as lines, and how it went on after one; all is logged", () => {
    const said: string[] = [];
    const inner = captureLogger();
    const logger = tellingLogger(inner, (line) => said.push(line));
    logger.warn({ pid: 1 }, "of no interest now");
    logger.error({ log_dir: "/x" }, "PostgreSQL ended unexpectedly; starting it again");
    logger.info({}, "the end of its log");
    logger.error({ err: new Error("port in use") }, "PostgreSQL could not be started again");
    logger.warn({ pid: 2 }, "PostgreSQL runs again");
    logger.warn("of no interest again");
    logger.child({ pid: 3 }).error("also of a child");
    expect(said).toEqual([
      "headroom: PostgreSQL ended unexpectedly; starting it again",
      "headroom: PostgreSQL could not be started again: port in use",
      "headroom: PostgreSQL runs again",
      "headroom: also of a child",
    ]);
    expect(inner.records).toHaveLength(7);
    expect(inner.records[1]?.fields).toEqual({ log_dir: "/x" });
  });
});
