import type { Migration } from "@headroom/postgres";

/**
 * A result may come before the last of its output, and whoever follows that output is to know when it is whole. A replica of the version
 * before writes none, and its followers end with the run.
 */
export const outputEnd: Migration = {
  name: "0016_output_end",
  usableFrom: "0002_output_tail",
  up: `
ALTER TABLE attempts ADD COLUMN output_end_seq bigint;
COMMENT ON COLUMN attempts.output_end_seq IS 'Number of the last piece that was written, as its agent told with the result; null: nobody has told.';
COMMENT ON COLUMN attempts.output_last_seq IS 'Number of the last piece that came.';
`,
};
