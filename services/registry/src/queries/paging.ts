/** Pages by position: a token says after which row to go on, and to which question it belongs. */
import { invalidArgument } from "@headroom/rpc";
import { hash } from "node:crypto";
import type { SortKey } from "../fleet/index/sorted-slots.ts";
import { compareRows, type Order } from "./order-by.ts";

export interface Page<Row> {
  readonly rows: readonly Row[];
  /** Empty at the end. */
  readonly nextPageToken: string;
  /** On all pages. */
  readonly totalSize: number;
}

export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
  /** Everything but size and token: a token is of no use with another question. */
  readonly question: unknown;
}

/** Sorts and cuts. Rows that came or went since the page before move nothing else. Throws INVALID_ARGUMENT for a wrong token. */
export function pageOf<Row>(
  rows: readonly Row[],
  order: Pick<Order, "descending">,
  rowOf: (row: Row) => SortKey,
  request: PageRequest,
): Page<Row> {
  const { after, tokenAfter } = readPosition(request);
  const keyed = rows.map((row) => ({ row, key: rowOf(row) })).sort((a, b) => compareRows(order, a.key, b.key));
  const rest = after === null ? keyed : keyed.filter(({ key }) => compareRows(order, key, after) > 0);
  const page = rest.slice(0, request.pageSize);
  const last = page.at(-1);
  const hasMore = rest.length > page.length && last !== undefined;
  return {
    rows: page.map(({ row }) => row),
    nextPageToken: hasMore ? tokenAfter(last.key) : "",
    totalSize: rows.length,
  };
}

/** Where a page begins. */
export interface PagePosition {
  /** The last row of the page before; null: from the beginning. */
  readonly after: SortKey | null;
  /** The token that continues behind a row. */
  readonly tokenAfter: (last: SortKey) => string;
}

/** Throws INVALID_ARGUMENT for a token of another question. */
export function readPosition(request: Pick<PageRequest, "pageToken" | "question">): PagePosition {
  const { pageToken, question } = request;
  return {
    after: pageToken === "" ? null : readToken(pageToken, digestOf(question)),
    tokenAfter: (last) => writeToken(last, digestOf(question)),
  };
}

function writeToken({ value, agentId }: SortKey, question: string): string {
  return Buffer.from(JSON.stringify([question, value, agentId])).toString("base64url");
}

function readToken(token: string, question: string): SortKey {
  const wrong = invalidArgument([
    { field: "page_token", description: "is none that this question was answered with; leave it out to begin anew" },
  ]);
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
  } catch {
    throw wrong;
  }
  if (!Array.isArray(parts) || parts[0] !== question) throw wrong;
  const value: unknown = parts[1];
  const agentId: unknown = parts[2];
  if ((typeof value !== "number" && typeof value !== "string") || typeof agentId !== "string") throw wrong;
  return { value, agentId };
}

/** The same for the same question, however the entries of its maps are ordered. */
export function digestOf(question: unknown): string {
  return hash("sha256", JSON.stringify(question, inOrder), "base64url").slice(0, 16);
}

/** A replacer of JSON: the entries of a map come in any order, and mean the same. */
function inOrder(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
