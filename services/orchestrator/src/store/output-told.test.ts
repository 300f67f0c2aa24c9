import { expect, it } from "vitest";
import { bytesGone } from "./output-keeping.ts";

it.each([20, 400, 4_000])(
  "what a note of an agent says with %i digits stays a number that a bigint takes",
  (digits) => {
    const note = Buffer.from(
      `${"9".repeat(digits)} bytes of output left out here: it came faster than it could be stored\n`,
    );
    const bytes = bytesGone("headroom", note, note.length);
    expect(bytes).toBe(1e12);
  },
);
