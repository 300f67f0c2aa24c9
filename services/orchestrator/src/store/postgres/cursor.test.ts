import { describe, expect, it } from "vitest";
import { BadCursorError } from "../port.ts";
import { decodeTimeCursor } from "./cursor.ts";

const id = "0469d56d-2b5a-478c-a20d-2e9b78ac6edb";

describe("a place in a list by time", () => {
  it.each([
    "2026-11-28 17:17:53.123456+00",
    "2026-11-28 17:17:53+00",
    "2024-02-29 23:59:59.9+00",
    "9999-12-31 00:00:00+00",
  ])("%s is one", (at) => {
    expect(decodeTimeCursor(`${at}|${id}`)).toEqual([at, id]);
  });

  it.each([
    "9999-99-99 99:99:99+00",
    "2026-02-30 00:00:00+00",
    "2026-02-29 00:00:00+00",
    "2026-13-01 00:00:00+00",
    "2026-01-01 25:00:00+00",
    "0000-01-01 00:00:00+00",
    "999999-01-01 00:00:00+00",
    "2026-01-01 00:00:00",
  ])("%s is none: the database would refuse it, or never gave it", (at) => {
    expect(() => decodeTimeCursor(`${at}|${id}`)).toThrow(BadCursorError);
  });
});
