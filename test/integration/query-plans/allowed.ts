/** Statements that may read much, each with why. */
export const allowed: Readonly<Record<string, string>> = {
  pause_queue_reasons:
    "counts what waits, for GetQueueStatus and a scrape of the metrics: once for all gauges, an index only",
  pause_queue_count: "the total beside a page of ListPausedTasks: counts what waits, an index only",
  pause_queue_count_waiting: "counts what waits, once a pass of the poll: an index only",
  pause_queue_count_due: "counts what is due, once a pass",
  pause_queue_checked: "writes one verdict to all rows that share it",
  pause_queue_list: "sorts what waits",
  pause_queue_place: "counts what waits before one task",
  tasks_list: "sorts all tasks when no state is asked for",
  tasks_claim_waiting_256: "takes what is due of all shapes in one order",
  tasks_claim_waiting_500: "takes what is due of all shapes in one order",
};
