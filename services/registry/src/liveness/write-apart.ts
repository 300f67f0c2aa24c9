/** Writes rows together, and where that fails finds out whether rows are at fault or the database. */
import { isAboutValues } from "@headroom/postgres";
import { StoreUnavailableError } from "../store/registry-store.ts";

export interface WrittenApart {
  /** Rows that the store does not take while it takes others, each with what it says of it. */
  readonly refused: readonly { readonly id: string; readonly error: unknown }[];
  /** What keeps the store from taking the rest; null: nothing is left. */
  readonly failure: { readonly error: unknown; readonly left: readonly string[] } | null;
}

/**
 * So many tries in a row that fail for a reason which is not told to be a row's are the database's failure. Among 1,000 rows the eleventh try is
 * the first of a row alone.
 */
const MAX_FAILED_IN_A_ROW = 16;

/**
 * What fails together is tried in halves, down to single rows. One of these is refused when the store says that its values are wrong, or when another
 * row was taken before it; else it is tried again as soon as one is. Never throws.
 */
export async function writeApart(
  ids: readonly string[],
  write: (ids: readonly string[]) => Promise<void>,
): Promise<WrittenApart> {
  const refused: { id: string; error: unknown }[] = [];
  const pieces: (readonly string[])[] = [ids];
  let doubtful: (readonly string[])[] = [];
  let hasWritten = false;
  let refusedBeforeLastWrite = 0;
  let failedInARow = 0;
  let lastFailure: unknown = null;
  for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
    try {
      await write(piece);
      hasWritten = true;
      failedInARow = 0;
      refusedBeforeLastWrite = refused.length;
      pieces.push(...doubtful);
      doubtful = [];
    } catch (error) {
      const [id, ...others] = piece;
      const isOfValues = isAboutValues(error);
      if (!isOfValues) {
        failedInARow += 1;
        lastFailure = error;
      }
      const isAway = error instanceof StoreUnavailableError && !isOfValues;
      if (isAway || failedInARow >= MAX_FAILED_IN_A_ROW) {
        // Those that were refused last may have met the failure already.
        const last = refused.splice(refusedBeforeLastWrite);
        doubtful.push(...last.map(({ id: lastId }) => [lastId]), piece, ...pieces);
        break;
      }
      if (others.length > 0) pieces.unshift(...halvesOf(piece));
      else if (id !== undefined && (isOfValues || hasWritten)) refused.push({ id, error });
      else doubtful.push(piece);
    }
  }
  const left = doubtful.flat();
  return { refused, failure: left.length === 0 ? null : { error: lastFailure, left } };
}

function halvesOf(ids: readonly string[]): readonly (readonly string[])[] {
  const middle = Math.ceil(ids.length / 2);
  return [ids.slice(0, middle), ids.slice(middle)];
}
