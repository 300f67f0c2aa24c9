import { stripVTControlCharacters } from "node:util";
import { systemPorts } from "@headroom/runtime";
import { describe, expect, it } from "vitest";
import type { Output } from "../io.ts";
import { paintFor } from "../output/colour.ts";
import { liveView } from "./live.ts";
import type { PlanProgress } from "./progress.ts";

const columns = 40;

/** The frames that a view of this title, name of a task and note has written: the first, and the last over it. */
function frames(title: string, name: string, note: string): readonly [string, string] {
  const written: string[] = [];
  const output: Output = {
    write: (data) => written.push(String(data)),
    room: () => Promise.resolve(),
    isTTY: true,
    columns: () => columns,
    rows: () => 24,
  };
  const task = {
    taskId: "one",
    name,
    state: "paused",
    agentId: "",
    sinceMs: 0,
    why: "no_agent_fits_now: 2 cores short",
  };
  const first: PlanProgress = { status: "paused", tasks: new Map([["one", task]]) };
  const view = liveView({ output, paint: paintFor(output, {}), ports: systemPorts, title, first });
  view.note(note);
  view.end();
  return [written[0] ?? "", written[1] ?? ""];
}

/** Columns of a terminal: those of east Asia and pictures take two. */
function widthOf(line: string): number {
  const characters = Array.from(stripVTControlCharacters(line));
  return characters.reduce(
    (sum, character) => sum + (/\p{Script=Han}|\p{Emoji_Presentation}/u.test(character) ? 2 : 1),
    0,
  );
}

/** How often it switches a colour on or off. */
const times = (line: string, code: number): number => line.split(`\u001B[${code}m`).length - 1;

describe("the live view", () => {
  it.each([
    ["a long title", "nightly-".repeat(12), "one", ""],
    ["a title of wide characters", "計画".repeat(30), "one", ""],
    ["a title of pictures", "😀".repeat(60), "one", ""],
    ["a title that a picture does not end with", `x${"😀".repeat(60)}`, "one", ""],
    ["a long name of a task", "demo", "frame-".repeat(12), ""],
    ["a wide name of a task", "demo", "計画".repeat(12), ""],
    ["a wide note", "demo", "one", "切断".repeat(30)],
  ])("with %s keeps each line within the terminal, so that the next frame finds the first", (_what, ...given) => {
    const [first, second] = frames(...given);
    const lines = first.split("\n").slice(0, -1);
    for (const line of [...lines, ...second.split("\n")]) {
      expect(widthOf(line)).toBeLessThan(columns);
      // No half of a character, no colour left on.
      expect(line).not.toMatch(/\p{Surrogate}/u);
      expect(times(line, 1) + times(line, 33) + times(line, 90)).toBe(times(line, 22) + times(line, 39));
    }
    expect(second.startsWith(`\u001B[${lines.length}A\u001B[J`)).toBe(true);
  });

  it("says by an ellipsis that a title is cut, and leaves one that has room alone", () => {
    expect(frames("nightly-".repeat(12), "one", "")[0]).toContain("nightly-nightly-nightly-nightly-nightl\u001B[22m…");
    expect(frames("demo", "one", "")[0]).toContain("demo\u001B[22m  \u001B[33mpaused\u001B[39m: 1 paused\n");
  });
});
