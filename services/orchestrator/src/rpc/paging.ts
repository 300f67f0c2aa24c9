import { createHash } from "node:crypto";
import { type HeadroomError, invalidArgument } from "@headroom/rpc";
import { BadCursorError, type Page } from "../store/port.ts";

/** A page as asked for. The token holds a place and the question it belongs to; callers see neither. */
export function readPage(
  request: { readonly pageSize: number; readonly pageToken: string },
  defaultSize: number,
  question: unknown,
): Page {
  const limit = request.pageSize === 0 ? defaultSize : request.pageSize;
  if (request.pageToken === "") return { limit, after: null };
  const [questionHash, cursor] = splitToken(request.pageToken);
  if (cursor === undefined) throw badToken("is not a next_page_token of this list");
  if (questionHash !== hashOf(question)) throw badToken("belongs to a list with other filters: ask with the same ones");
  return { limit, after: cursor };
}

export function nextPageToken(next: string | null, question: unknown): string {
  return next === null ? "" : Buffer.from(`${hashOf(question)}\n${next}`, "utf8").toString("base64url");
}

/** Runs a listing; a cursor that the store does not know is the caller's mistake. */
export async function withPage<T>(listing: () => Promise<T>): Promise<T> {
  try {
    return await listing();
  } catch (error) {
    if (error instanceof BadCursorError) throw badToken("is not a next_page_token of this list");
    throw error;
  }
}

function splitToken(token: string): readonly [string, string | undefined] {
  const [questionHash = "", cursor] = Buffer.from(token, "base64url").toString("utf8").split("\n");
  return [questionHash, cursor];
}

function hashOf(question: unknown): string {
  return createHash("sha256").update(JSON.stringify(question)).digest("base64url").slice(0, 12);
}

function badToken(description: string): HeadroomError {
  return invalidArgument([{ field: "page_token", description }], "INVALID_PAGE_TOKEN");
}

/** The same for a list in the order of growing ids: `after` is the last one seen, 0 at the beginning. */
export function readCountingPage(
  request: { readonly pageSize: number; readonly pageToken: string },
  defaultSize: number,
  question: unknown,
): { readonly limit: number; readonly after: number } {
  const { limit, after } = readPage(request, defaultSize, question);
  if (after === null) return { limit, after: 0 };
  const id = /^\d{1,15}$/.test(after) ? Number(after) : Number.NaN;
  if (Number.isNaN(id)) throw badToken("is not a next_page_token of this list");
  return { limit, after: id };
}
