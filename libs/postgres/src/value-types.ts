import pg from "pg";

// How PostgreSQL's text becomes a JavaScript value. One place, so that a row means the same everywhere.

const oid = {
  int8: 20,
  int8Array: 1016,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  timestamptzArray: 1185,
} as const;

type TextParser = (text: string) => unknown;

/** int8 as a number. Throws if it is not a safe integer: a wrong count must not go on as a right one. */
export function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(`int8 ${text} does not fit a JavaScript number; cast it to text in the SQL`);
  }
  return value;
}

const parseAsDate: TextParser = pg.types.getTypeParser(oid.timestamptz);

/** timestamptz as epoch milliseconds, cut to whole ones; `infinity` and `-infinity` as such. */
export function parseTimestamptz(text: string): number {
  // Nearly all of them: the session runs in UTC, and the year has four digits.
  if (text.endsWith("+00")) {
    const fast = Date.parse(`${text.slice(0, 10)}T${text.slice(11, -3)}Z`);
    if (!Number.isNaN(fast)) return fast;
  }
  const parsed = parseAsDate(text);
  return parsed instanceof Date ? parsed.getTime() : Number(parsed);
}

/** The elements of a one-dimensional array of numbers or timestamps, which need no unescaping beyond quotes. */
function parseArray<T>(text: string, element: (text: string) => T): (T | null)[] {
  const inner = text.slice(1, -1);
  if (inner === "") return [];
  return inner.split(",").map((part) => (part === "NULL" ? null : element(part.replaceAll('"', ""))));
}

const parsers: ReadonlyMap<number, TextParser> = new Map<number, TextParser>([
  [oid.int8, parseInt8],
  [oid.int8Array, (text) => parseArray(text, parseInt8)],
  [oid.timestamptz, parseTimestamptz],
  [oid.timestamptzArray, (text) => parseArray(text, parseTimestamptz)],
  // No column of ours has these two; if one does, its text is less wrong than a Date in the local time zone.
  [oid.timestamp, String],
  [oid.date, String],
]);

/** The parsers for `pg`: ours for the types above, pg's own for the rest (json and jsonb parsed, numeric left as text). */
export const customTypes = {
  getTypeParser(id: number, format?: string): TextParser {
    if (format === "binary") return pg.types.getTypeParser(id, "binary");
    return parsers.get(id) ?? pg.types.getTypeParser(id, "text");
  },
};
