import { BadCursorError, type Page } from "../port.ts";

/** A place in a sorted list, as text: the sort columns of the last row, exact to the microsecond. */
export function encodeCursor(parts: readonly string[]): string {
  return parts.join("|");
}

const timePattern = /^(?!0000)(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(\.\d{1,6})?\+00$/;
const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** `[time, id]`. */
export function decodeTimeCursor(cursor: string | null): readonly [string | null, string | null] {
  if (cursor === null) return [null, null];
  const [at, id, ...rest] = cursor.split("|");
  if (at === undefined || id === undefined || rest.length > 0 || !isTime(at) || !uuidPattern.test(id)) {
    throw new BadCursorError("not a cursor of this list");
  }
  return [at, id];
}

/** One that the database takes: there is such a day, and such a time of it. */
function isTime(text: string): boolean {
  const [, day = "", time = ""] = timePattern.exec(text) ?? [];
  const ms = Date.parse(`${day}T${time}Z`);
  // Date.parse takes the 30th of February for the 2nd of March.
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(day);
}

/** `[whether it is in the half that is not tried, rank, id]`; from the beginning: before everything. */
export function decodeQueueCursor(cursor: string | null): readonly [boolean, number, string] {
  if (cursor === null) return [false, Number.NEGATIVE_INFINITY, "00000000-0000-0000-0000-000000000000"];
  const [half, text = "", id, ...rest] = cursor.split("|");
  const rank = text === "" ? Number.NaN : Number(text);
  const isOurs = (half === "0" || half === "1") && Number.isFinite(rank) && rest.length === 0;
  if (!isOurs || id === undefined || !uuidPattern.test(id)) throw new BadCursorError("not a cursor of this list");
  return [half === "1", rank, id];
}

/** Where a list of the newest first goes on, as `[time, id]` to compare with; from the beginning: later than everything. */
export function newestFirst(page: Page): readonly [string, string] {
  const [at, id] = decodeTimeCursor(page.after);
  return [at ?? "infinity", id ?? "ffffffff-ffff-ffff-ffff-ffffffffffff"];
}

/** Reads one row more than the page holds: whether there is more is then known. */
export function listed<Row, Item>(
  rows: readonly Row[],
  limit: number,
  cursorOf: (row: Row) => readonly string[],
  itemOf: (row: Row) => Item,
): { readonly items: readonly Item[]; readonly next: string | null } {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const next = rows.length > limit && last !== undefined ? encodeCursor(cursorOf(last)) : null;
  return { items: page.map(itemOf), next };
}
