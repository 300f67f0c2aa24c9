import { ConfigError } from "@headroom/runtime";
import { describe, expect, it } from "vitest";
import type { PartName } from "../parts.ts";
import { renderError } from "../errors/render.ts";
import { type Child, readLine, startError } from "./child.ts";
import { stopChild } from "./up.ts";

async function saidAtStop(wasReady: boolean): Promise<readonly string[]> {
  const said: string[] = [];
  const child: Child = {
    start: () => Promise.reject(new Error("it was started")),
    pid: () => 1,
    wasReady: () => wasReady,
    stop: () => Promise.resolve(),
    kill: () => undefined,
  };
  await stopChild(child, "agent", { agentStopGraceMs: 10_000, say: (line) => void said.push(line) });
  return said;
}

async function graceAtStop(name: PartName, agentStopGraceMs: number): Promise<number> {
  let grace = 0;
  const child: Child = {
    start: () => Promise.reject(new Error("it was started")),
    pid: () => null,
    wasReady: () => false,
    stop: (graceMs) => Promise.resolve(void (grace = graceMs)),
    kill: () => undefined,
  };
  await stopChild(child, name, { agentStopGraceMs, say: () => undefined });
  return grace;
}

describe("an agent that is stopped", () => {
  it("ends work only if it ever did any", async () => {
    expect(await saidAtStop(false)).toEqual(["headroom: stopping the agent"]);
    expect(await saidAtStop(true)).toEqual([
      "headroom: stopping the agent; what it runs is ended and goes back to the queue",
    ]);
  });
});

describe("a part that is stopped", () => {
  it("is killed only when what it was asked to give its tasks is over, and the handing in", async () => {
    expect(await graceAtStop("agent", 10_000)).toBe(45_000);
    expect(await graceAtStop("agent", 3_600_000)).toBe(3_635_000);
    expect(await graceAtStop("registry", 3_600_000)).toBe(30_000);
  });
});

describe("a fault that a part logs", () => {
  it("is told with its error", () => {
    const told = (record: object): unknown => readLine(JSON.stringify({ level: "error", msg: "no beat", ...record }));
    expect(told({ err: { message: "disk full" } })).toEqual({ kind: "tell", text: "no beat: disk full" });
    expect(told({ err: { message: "no beat" } })).toEqual({ kind: "tell", text: "no beat" });
    expect(told({})).toEqual({ kind: "tell", text: "no beat" });
  });
});

describe("a part that cannot start", () => {
  it("lists the settings at fault with one dash each", () => {
    const problem = { setting: "token", env: "HEADROOM_TOKEN", flag: undefined, given: null, allowed: "", example: "" };
    const failure = renderError(new ConfigError([{ ...problem, message: "HEADROOM_TOKEN is short" }]));
    const error = startError({ name: "registry", logFile: "/logs/registry.log" }, "exit code 1", failure);
    expect(renderError(error)).toBe(
      [
        "headroom: the registry could not start: One setting is wrong: (START_FAILED)",
        "  - HEADROOM_TOKEN is short",
        "  its log: /logs/registry.log",
        "",
      ].join("\n"),
    );
  });
});
