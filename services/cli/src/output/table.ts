import Table from "cli-table3";
import type { Output } from "../io.ts";
import { type Colour, type Paint } from "./colour.ts";
import { cut } from "./format.ts";
import { printable } from "./printable.ts";

/** A cell: text, or text with a colour. */
export type Cell = string | { readonly text: string; readonly colour: Colour | null };

const textOf = (cell: Cell): string => (typeof cell === "string" ? cell : cell.text);

const noBorders = {
  top: "", "top-mid": "", "top-left": "", "top-right": "", bottom: "", "bottom-mid": "", "bottom-left": "", "bottom-right": "",
  left: "", "left-mid": "", mid: "", "mid-mid": "", right: "", "right-mid": "", middle: "  ",
}; // prettier-ignore

/** What a table must fit into: no limit where no terminal is, so that nothing is lost in a pipe. */
export interface TableOptions {
  readonly paint: Paint;
  readonly columns: number | null;
}

export function tableOptions(output: Output, paint: Paint): TableOptions {
  return { paint, columns: output.columns() };
}

/** A table with a line of titles; in a terminal the last column is cut to its width. Ends with a line feed. */
export function renderTable(
  titles: readonly string[],
  rows: readonly (readonly Cell[])[],
  options: TableOptions,
): string {
  const lastWidth = widthOfLast(titles, rows, options.columns);
  const table = new Table({
    chars: noBorders,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  table.push(titles.map((title) => options.paint("grey", title)));
  for (const row of rows) {
    table.push(
      row.map((cell, index) => {
        const text = index === row.length - 1 ? cut(oneLine(textOf(cell)), lastWidth) : oneLine(textOf(cell));
        return options.paint(typeof cell === "string" ? null : cell.colour, text);
      }),
    );
  }
  const lines = table.toString().split("\n");
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n`;
}

function widthOfLast(titles: readonly string[], rows: readonly (readonly Cell[])[], columns: number | null): number {
  if (columns === null) return Number.POSITIVE_INFINITY;
  let others = 0;
  for (let index = 0; index < titles.length - 1; index += 1) {
    others += 2 + Math.max(...[titles, ...rows].map((row) => textOf(row[index] ?? "").length));
  }
  // Below ten characters nothing can be read; then the terminal wraps.
  return Math.max(10, columns - others);
}

/** A line cut to `width` columns of a terminal, colours kept; characters that are two columns wide count as two, as in a table. */
export function cutLine(line: string, width: number): string {
  const table = new Table({
    chars: noBorders,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    colWidths: [Math.max(1, width)],
  });
  table.push([line]);
  // The cut may have gone through a character of two code units.
  return table
    .toString()
    .replaceAll(/\p{Surrogate}/gu, "")
    .trimEnd();
}

function oneLine(text: string): string {
  return printable(text.replaceAll(/\s+/g, " "));
}

/** Names and values, one a line, values below each other. Ends with a line feed. */
export function renderFacts(facts: readonly (readonly [string, Cell])[], paint: Paint): string {
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, cell]) => {
    const value = typeof cell === "string" ? printable(cell) : paint(cell.colour, printable(cell.text));
    return `${paint("grey", name.padEnd(width))}  ${value}`.trimEnd();
  });
  return `${lines.join("\n")}\n`;
}
