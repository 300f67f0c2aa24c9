import { ConfigError } from "@headroom/runtime";
import { describe, expect, it } from "vitest";
import { renderError } from "../errors/render.ts";
import { type Child, startError } from "./child.ts";
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
  await stopChild(child, "agent", (line) => void said.push(line));
  return said;
}

describe("an agent that is stopped", () => {
  it("ends work only if it ever did any", async () => {
    expect(await saidAtStop(false)).toEqual(["headroom: stopping the agent"]);
    expect(await saidAtStop(true)).toEqual([
      "headroom: stopping the agent; what it runs is ended and goes back to the queue",
    ]);
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
