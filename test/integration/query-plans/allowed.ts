/** Statements that may read much, each with why. An entry that is needed no more fails the test. */
export const allowed: Readonly<Record<string, string>> = {
  pause_queue_reasons:
    "counts what waits, for GetQueueStatus and a scrape of the metrics: once for all gauges, an index only",
  pause_queue_count: "the total beside a page of ListPausedTasks: counts what waits, an index only",
};
