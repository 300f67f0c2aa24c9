import { describe, expect, it } from "vitest";
import { orderByOf } from "../commands/capacity.ts";
import { age, amount, commandLine, cut, gb, gbOf, span } from "./format.ts";
import { printable } from "./printable.ts";
import { renderFacts, renderTable } from "./table.ts";

const plain = (_colour: unknown, text: string): string => text;

describe("figures for people", () => {
  it("never shows 0 for something that is there", () => {
    expect([amount(0), amount(0.001), amount(1.5), amount(2)]).toEqual(["0", "<0.01", "1.5", "2"]);
    expect([gb(0), gb(0.001), gb(0.06), gb(0.1), gb(3.25), gbOf(0, 0), gbOf(3.2, 24)]).toEqual([
      "0 GiB",
      "<0.01 GiB",
      "0.06 GiB",
      "0.1 GiB",
      "3.3 GiB",
      "-",
      "3.2 / 24 GiB",
    ]);
  });

  it.each([
    [-5, "0 ms"],
    [850, "850 ms"],
    [12_900, "12 s"],
    [185_000, "3 m 05 s"],
    [7_800_000, "2 h 10 m"],
    [356_400_000, "4 d 3 h"],
  ])("%j ms is %j", (ms, text) => {
    expect(span(ms)).toBe(text);
  });

  it("a clock that is behind shows no negative age", () => {
    expect([age(1_000, 500), age(null, 5)]).toEqual(["0 ms", "-"]);
  });

  it("writes a command as a shell would take it, and cuts it", () => {
    expect(commandLine(["node", "-e", "it's\n1"], 100)).toBe(String.raw`node -e 'it'\''s 1'`);
    expect([cut("abcdef", 4), cut("abc", 4)]).toEqual(["abc…", "abc"]);
  });
});

describe("a table", () => {
  it("is cut to the terminal in its last column, and never in a pipe", () => {
    const rows = [["a", "some long\ntext that goes on"]];
    expect(renderTable(["X", "WHY"], rows, { paint: plain, columns: 16 })).toBe("X  WHY\na  some long te…\n");
    expect(renderTable(["X", "WHY"], rows, { paint: plain, columns: null })).toBe(
      "X  WHY\na  some long text that goes on\n",
    );
  });
});

describe("a long table", () => {
  it("of 20,000 rows is made at once, wide characters and colours in their columns", () => {
    const rows = Array.from({ length: 20_000 }, (_, index) => ["\u6771", { text: `${index}`, colour: null }, "x", ""]);
    const startedAtMs = performance.now();
    const lines = renderTable(["A", "B", "C", "D"], rows, { paint: plain, columns: null }).split("\n");
    expect(performance.now() - startedAtMs).toBeLessThan(5_000);
    expect([lines[0], lines[1], lines[20_000]]).toEqual(["A   B      C  D", "\u6771  0      x", "\u6771  19999  x"]);
  });
});

describe("text from elsewhere", () => {
  it("has no control characters that a terminal would obey, in tables and facts", () => {
    const text = "\u001B]0;x\u0007y";
    expect(renderTable(["X"], [[text]], { paint: plain, columns: null })).toBe("X\n\\x1b]0;x\\x07y\n");
    expect(
      renderFacts(
        [
          ["a", { text, colour: null }],
          ["b", text],
        ],
        plain,
      ),
    ).not.toMatch(/(?!\n)\p{Cc}/u);
    expect(printable("a\tb\nc")).toBe("a\tb\nc");
  });
});

describe("--sort", () => {
  it.each([
    ["vram", "gpu_vram_available_gb desc"],
    ["cpu:asc", "cpu_cores_available"],
    ["memory-total-gb", "memory_total_gb desc"],
    ["host", "hostname"],
    ["host:desc", "hostname desc"],
    ["cpu_load desc", "cpu_load desc"],
  ])("%j is %j", (sort, orderBy) => {
    expect(orderByOf(sort)).toBe(orderBy);
  });
});
