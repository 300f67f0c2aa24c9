import type { Migration } from "@headroom/postgres";
import { initial } from "./0001_initial.ts";
import { outputTail } from "./0002_output_tail.ts";
import { queueRank } from "./0003_queue_rank.ts";
import { roomHolds } from "./0004_room_holds.ts";
import { operating } from "./0010_operating.ts";
import { lists } from "./0011_lists.ts";
import { queueLists } from "./0012_queue_lists.ts";
import { holdUnknown } from "./0013_hold_unknown.ts";
import { cancelling } from "./0014_cancelling.ts";
import { queueWithoutTaskCheck } from "./0015_queue_without_task_check.ts";
import { outputEnd } from "./0016_output_end.ts";
import { lateDeadlines } from "./0017_late_deadlines.ts";
import { queueReleasing } from "./0018_queue_releasing.ts";
import { turnSince } from "./0019_turn_since.ts";

/** The schema's whole history, oldest first. */
export const orchestratorMigrations: readonly Migration[] = [
  initial,
  outputTail,
  queueRank,
  roomHolds,
  operating,
  lists,
  queueLists,
  holdUnknown,
  cancelling,
  queueWithoutTaskCheck,
  outputEnd,
  lateDeadlines,
  queueReleasing,
  turnSince,
];
