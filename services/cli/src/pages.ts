import type { CommandContext } from "./context.ts";

/** What `--limit` of a list goes up to. */
export const mostRows = 100_000;
/** What a service gives on one page at most. */
const mostRowsOfPage = 1_000;

export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

interface PageAnswer {
  readonly nextPageToken: string;
}

/**
 * Asks page by page for `limit` rows: the last answer with the rows of all, so that its token goes on behind them. Rows that move in the
 * order while it is read may come twice or not at all.
 */
export async function readPages<Name extends string, Row, Answer extends PageAnswer & Readonly<Record<Name, Row[]>>>(
  limit: number,
  name: Name,
  ask: (page: PageRequest) => Promise<Answer>,
): Promise<Answer> {
  const rows: Row[] = [];
  let pageToken = "";
  for (;;) {
    const answer = await ask({ pageSize: Math.min(mostRowsOfPage, limit - rows.length), pageToken });
    const page: readonly Row[] = answer[name];
    rows.push(...page);
    pageToken = answer.nextPageToken;
    // A page without rows is followed by none.
    if (pageToken === "" || page.length === 0 || rows.length >= limit) return { ...answer, [name]: rows };
  }
}

/** Says on stderr, beside a table and beside JSON, that rows are left out, and how to see them. */
export function sayLeftOut(context: CommandContext, shown: number, total: number): void {
  if (total <= shown) return;
  const way = total <= mostRows ? `--limit ${total} shows them` : `--limit shows up to ${mostRows}`;
  context.say(`${total - shown} more; ${way}`);
}
