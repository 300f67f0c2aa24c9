import { expect, it } from "vitest";
import { DataDirInUseError } from "./errors.ts";

it("an owner elsewhere is named with its place, and without a kill that would reach somebody else here", () => {
  const here = new DataDirInUseError("/data", { pid: 7, elsewhere: null });
  expect([here.pid, here.message.split(", or ")[0]]).toEqual([
    7,
    "process 7 already runs the PostgreSQL of /data: stop it (kill 7)",
  ]);
  const there = new DataDirInUseError("/data", { pid: 7, elsewhere: "on host desk-7" });
  expect([there.pid, there.message.split(", or ")[0]]).toEqual([
    7,
    "process 7 on host desk-7 already runs the PostgreSQL of /data: stop Headroom there",
  ]);
});
