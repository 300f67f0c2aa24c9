import Table from "cli-table3";
import stringWidth from "string-width";
import type { Output } from "../io.ts";
import { type Colour, type Paint } from "./colour.ts";
import { cut } from "./format.ts";
import { printable } from "./printable.ts";

/** A cell: text, or text with a colour. */
export type Cell = string | { readonly text: string; readonly colour: Colour | null };

const textOf = (cell: Cell): string => (typeof cell === "string" ? cell : cell.text);

/** Between two columns. */
const gap = "  ";

const noBorders = {
  top: "", "top-mid": "", "top-left": "", "top-right": "", bottom: "", "bottom-mid": "", "bottom-left": "", "bottom-right": "",
  left: "", "left-mid": "", mid: "", "mid-mid": "", right: "", "right-mid": "", middle: gap,
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
  { paint, columns }: TableOptions,
): string {
  const texts = rows.map((row) => row.map((cell) => oneLine(textOf(cell))));
  const widths = columnWidths([titles, ...texts]);
  const lastWidth = widthOfLast(widths, columns);
  const lines = rows.map((row, line) =>
    joined(
      row.map((cell, index) => {
        const text = texts[line]?.[index] ?? "";
        const shown = index === row.length - 1 ? cut(text, lastWidth) : text;
        return { text: shown, colour: typeof cell === "string" ? null : cell.colour };
      }),
      widths,
      paint,
    ),
  );
  const head = joined(
    titles.map((text) => ({ text, colour: "grey" as const })),
    widths,
    paint,
  );
  return `${[head, ...lines].join("\n")}\n`;
}

function columnWidths(rows: readonly (readonly string[])[]): readonly number[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, text] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, widthOf(text));
  }
  return widths;
}

function widthOfLast(widths: readonly number[], columns: number | null): number {
  if (columns === null) return Number.POSITIVE_INFINITY;
  const others = widths.slice(0, -1).reduce((sum, width) => sum + width + gap.length, 0);
  // Below ten characters nothing can be read; then the terminal wraps.
  return Math.max(10, columns - others);
}

/** The cells of a line, each as wide as its column. */
function joined(cells: readonly Exclude<Cell, string>[], widths: readonly number[], paint: Paint): string {
  const padded = cells.map(
    ({ text, colour }, index) =>
      `${paint(colour, text)}${" ".repeat(Math.max(0, (widths[index] ?? 0) - widthOf(text)))}`,
  );
  return padded.join(gap).trimEnd();
}

/** Columns of a terminal. Most texts are plain, and a long list has many. */
function widthOf(text: string): number {
  return /^[\x20-\x7E]*$/.test(text) ? text.length : stringWidth(text);
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
