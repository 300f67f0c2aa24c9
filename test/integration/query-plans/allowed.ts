/** Statements that may read much, each with why. */
export const allowed: Readonly<Record<string, string>> = {
  registry_look_for_changes:
    "reads the narrow rows of the fleet, once a second where there are several registry processes: an index on the times of changes would cost each write more",
  registry_load_changed: "the same, where something has changed",
  registry_write_beats:
    "for all agents that beat within a second: one pass over the narrow rows costs less than looking up each",
  registry_write_statuses: "the same, of agents whose status changed",
  pause_queue_reasons: "counts what waits, for GetQueueStatus and a scrape of the metrics: once for all gauges",
  pause_queue_count_due: "counts what is due, once a pass",
  registry_count_fleet:
    "counts the reservations of each agent, to load the fleet in portions: at the start of a registry process, and when another one appears",
};
