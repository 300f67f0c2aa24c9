import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pageOf } from "./paging.ts";

interface Row {
  readonly value: number | string;
  readonly agentId: string;
}

function readAll(rows: readonly Row[], descending: boolean, pageSize: number): Row[] {
  const read: Row[] = [];
  for (let pageToken = ""; ;) {
    const page = pageOf(rows, { descending }, (row) => row, { pageSize, pageToken, question: "q" });
    expect(page.totalSize).toBe(rows.length);
    read.push(...page.rows);
    pageToken = page.nextPageToken;
    if (pageToken === "") return read;
  }
}

describe("pageOf", () => {
  it("pages of any size hold every row exactly once, in order", () => {
    const row = fc.record({ value: fc.integer({ min: 0, max: 3 }), agentId: fc.uuid() });
    fc.assert(
      fc.property(
        fc.uniqueArray(row, { selector: ({ agentId }) => agentId, maxLength: 30 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 7 }),
        (rows, descending, pageSize) => {
          const read = readAll(rows, descending, pageSize);
          expect(new Set(read)).toEqual(new Set(rows));
          expect(read).toHaveLength(rows.length);
          expect(read).toEqual(readAll(rows, descending, 1_000));
        },
      ),
    );
  });

  it("a row that goes between two pages moves no other", () => {
    const rows = ["a", "b", "c", "d"].map((agentId) => ({ value: 1, agentId }));
    const request = { pageSize: 2, question: "q" };
    const first = pageOf(rows, { descending: false }, (row) => row, { ...request, pageToken: "" });
    const second = pageOf(rows.slice(1), { descending: false }, (row) => row, {
      ...request,
      pageToken: first.nextPageToken,
    });
    expect(second.rows.map(({ agentId }) => agentId)).toEqual(["c", "d"]);
  });

  it("a token is of its question, in whatever order the entries of a map come", () => {
    const rows = ["a", "b"].map((agentId) => ({ value: 1, agentId }));
    const ask = (question: unknown, pageToken = "") =>
      pageOf(rows, { descending: false }, (row) => row, { pageSize: 1, pageToken, question });
    const first = ask({ pool: "lab", labels: { site: "north", floor: "2" } });
    const same = { labels: { floor: "2", site: "north" }, pool: "lab" };
    expect(ask(same, first.nextPageToken).rows).toEqual([rows[1]]);
    const other = { pool: "lab", labels: { site: "2", floor: "north" } };
    expect(() => ask(other, first.nextPageToken)).toThrow(/page_token/);
  });

  it.each(["x", "", "[]", `["q"]`, "null", `["q",{},"a"]`])("a token that is none is refused: %s", (text) => {
    const pageToken = Buffer.from(text).toString("base64url") || "x";
    const ask = () => pageOf([], { descending: false }, (row: Row) => row, { pageSize: 1, pageToken, question: "q" });
    expect(ask).toThrow(/page_token/);
  });
});
