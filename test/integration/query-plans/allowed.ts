/** Statements that may read much, each with why. */
export const allowed: Readonly<Record<string, string>> = {
  pause_queue_reasons:
    "counts what waits, for GetQueueStatus and a scrape of the metrics: once for all gauges, an index only",
  pause_queue_count_due: "counts what is due, once a pass",
  registry_count_fleet:
    "counts the reservations of each agent, to load the fleet in portions: at the start of a registry process, and when another one appears",
};
