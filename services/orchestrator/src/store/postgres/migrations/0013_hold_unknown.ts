import type { Migration } from "@headroom/postgres";

/** What a person wants of runs whose outcome nobody knows. */
export const holdUnknown: Migration = {
  name: "0013_hold_unknown",
  usableFrom: "0002_output_tail",
  up: `
ALTER TABLE tasks ADD COLUMN hold_unknown boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN tasks.hold_unknown IS 'A run of which nobody knows what became of it is not repeated unless a person asks for it.';
`,
};
