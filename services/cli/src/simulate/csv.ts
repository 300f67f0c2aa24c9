/** Comma-separated values with a line of titles, as traces are published: no quotes, no commas inside a value. */
import { cut } from "../output/format.ts";
import { CliError } from "../errors/cli-error.ts";

export interface CsvRow {
  /** Text of a column; empty where the column is absent or empty. */
  text(column: string): string;
  /** A number within bounds; empty and absent count as `missing`, where that is given. Throws CliError with the line and the column. */
  number(column: string, bounds: Bounds, missing?: number): number;
}

interface Bounds {
  readonly min: number;
  /** Left out: none. */
  readonly max?: number;
}

export function readCsv(name: string, text: string, required: readonly string[]): readonly CsvRow[] {
  const lines = text.split(/\r?\n/);
  const titles = (lines[0] ?? "").split(",").map((title) => title.trim());
  const missing = required.filter((column) => !titles.includes(column));
  if (missing.length > 0) {
    throw new CliError({
      message: `${name} has no column ${missing.join(", ")}`,
      reason: "INVALID_TRACE",
      details: [`${name}:1: the columns are ${quoted(titles.join(", "))}`],
      wayOut: "which columns are needed: headroom simulate --help",
    });
  }
  return lines.flatMap((line, index) =>
    index > 0 && line.trim() !== "" ? [rowOf(name, index + 1, titles, line)] : [],
  );
}

/** The file may be anything, a program for one. */
function quoted(text: string): string {
  return JSON.stringify(cut(text, 200));
}

function rowOf(name: string, line: number, titles: readonly string[], text: string): CsvRow {
  const values = text.split(",");
  const textOf = (column: string): string => values[titles.indexOf(column)]?.trim() ?? "";
  return {
    text: textOf,
    number(column, { min, max }, missing) {
      const value = textOf(column);
      if (value === "" && missing !== undefined) return missing;
      const number = value === "" ? Number.NaN : Number(value);
      if (Number.isSafeInteger(number) && number >= min && number <= (max ?? number)) return number;
      const allowed = max === undefined ? `${min} or more` : `${min} to ${max}`;
      throw new CliError({
        message: `${name} cannot be read`,
        reason: "INVALID_TRACE",
        details: [`${name}:${line}: ${column}: ${quoted(value)} is not a whole number of ${allowed}`],
      });
    },
  };
}
