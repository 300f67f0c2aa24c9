import { describe, expect, it } from "vitest";
import { whyNotStarted } from "./why-not-started.ts";

const failure = (code: string): Error => Object.assign(new Error(`spawn ${code}`), { code });

describe("why a program did not start", () => {
  it("speaks of first lines (#!) where there are such", () => {
    expect(whyNotStarted(failure("ENOENT"), "tool", "linux")).toContain("(#!)");
    expect(whyNotStarted(failure("EINVAL"), "tool.cmd", "linux")).toBe("spawn EINVAL");
  });

  it("on Windows says where a program is looked for, and how a script is started", () => {
    expect(whyNotStarted(failure("ENOENT"), "npm", "win32")).toBe(
      'no such program (.exe, .com) is on this agent, at that path or in the folders of PATH; a .cmd or .bat is started by "cmd", "/c" before its name',
    );
    expect(whyNotStarted(failure("EINVAL"), "C:\\tools\\Run.BAT", "win32")).toBe(
      'Windows starts a .cmd or .bat by its shell alone; write "cmd", "/c" before its name',
    );
    expect(whyNotStarted(failure("EINVAL"), "tool.exe", "win32")).toBe("spawn EINVAL");
  });
});
