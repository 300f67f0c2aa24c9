import type { Migration } from "@headroom/postgres";

/** What an agent is to be told to end is looked for every second: straight there, not through all that runs. */
export const cancelling: Migration = {
  name: "0014_cancelling",
  usableFrom: "0002_output_tail",
  up: `
CREATE INDEX tasks_cancelling ON tasks (attempt_id) WHERE cancel_requested_at IS NOT NULL AND state IN ('assigned', 'running');
`,
};
