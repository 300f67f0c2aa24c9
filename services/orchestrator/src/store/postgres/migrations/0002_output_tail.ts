import type { Migration } from "@headroom/postgres";

/** Of output beyond the bound, beginning and end are kept. */
export const outputTail: Migration = {
  name: "0002_output_tail",
  up: `
ALTER TABLE attempts
  ADD COLUMN output_head_last_seq bigint,
  ADD COLUMN output_tail_bytes bigint NOT NULL DEFAULT 0,
  ADD COLUMN output_gap_seq bigint;
COMMENT ON COLUMN attempts.output_bytes IS 'Output that is kept: the beginning and the end.';
COMMENT ON COLUMN attempts.output_dropped_bytes IS 'Output that was left out, before it came here or here.';
COMMENT ON COLUMN attempts.output_head_last_seq IS 'Pieces up to this number are the beginning, later ones the end; null while the beginning takes more.';
COMMENT ON COLUMN attempts.output_tail_bytes IS 'Of output_bytes, what the end has.';
COMMENT ON COLUMN attempts.output_gap_seq IS 'Number of the last piece that was left out between beginning and end; null: none.';
COMMENT ON TABLE task_output IS 'What attempts wrote, in pieces: beginning and end, up to a bound per attempt.';
`,
};
