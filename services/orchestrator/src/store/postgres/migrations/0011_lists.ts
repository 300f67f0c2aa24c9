import type { Migration } from "@headroom/postgres";

/**
 * Lists stay on indexes with a million finished tasks. `tasks_by_state` does what `tasks_newest` did (all states are merged) and
 * finds the few running among the many finished; one index for the other, because each change of a state writes to it.
 */
export const lists: Migration = {
  name: "0011_lists",
  usableFrom: "0002_output_tail",
  up: `
CREATE INDEX tasks_by_state ON tasks (state, created_at DESC, task_id DESC);
DROP INDEX tasks_newest;
CREATE INDEX plans_by_outcome ON plans (outcome, created_at DESC, plan_id DESC) WHERE outcome IS NOT NULL;
CREATE INDEX plans_unfinished ON plans (created_at DESC, plan_id DESC) WHERE outcome IS NULL;
CREATE INDEX plans_by_name ON plans (name, created_at DESC, plan_id DESC);
CREATE INDEX plans_finished ON plans (finished_at) WHERE finished_at IS NOT NULL;
`,
};
