import type { AttemptOutcome } from "@headroom/contracts";
import type { Amounts } from "@headroom/scheduling";
import type { AttemptResult, Ending } from "../attempt.ts";
import type { JournalRecord } from "./journal.ts";

/** The words of the contract, in the order of its numbers. */
const outcomes: readonly AttemptOutcome[] = [
  "exited",
  "signaled",
  "timed_out",
  "cancelled",
  "spawn_failed",
  "agent_restarted",
  "lease_expired",
  "evicted",
];

type Fields = Readonly<Record<string, unknown>>;

/** As the contract takes them: one that is not would have every hello refused that names it. */
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** One line of the journal; null: it is no record (torn, damaged, or written by something else). */
export function readRecord(line: string): JournalRecord | null {
  const fields = parseObject(line);
  const attemptId = fields?.["attemptId"];
  const fence = fields?.["fence"];
  if (fields === null || typeof attemptId !== "string" || !uuid.test(attemptId) || !isFence(fence)) return null;
  // Of those that were acknowledged the journal keeps no fence when it is rewritten.
  if (fence === 0 && fields["kind"] !== "acked") return null;
  switch (fields["kind"]) {
    case "accepted": {
      const reserved = readReserved(fields["reserved"]);
      return {
        kind: "accepted",
        attemptId,
        fence,
        atMs: count(fields["atMs"]),
        taskId: text(fields["taskId"]),
        planId: text(fields["planId"]),
        taskName: text(fields["taskName"]),
        workLeaseMs: count(fields["workLeaseMs"]),
        reserved,
      };
    }
    case "adopted":
      return { kind: "adopted", attemptId, fence };
    case "started": {
      const { pid, startToken } = fields;
      if (!isCount(pid)) return null;
      const token = typeof startToken === "string" ? startToken : null;
      const exit = readEnding(asObject(fields["exit"]));
      const ended = exit === null ? {} : { exit };
      return { kind: "started", attemptId, fence, pid, startToken: token, atMs: count(fields["atMs"]), ...ended };
    }
    case "finished": {
      const result = readResult(fields);
      return result === null ? null : { kind: "finished", attemptId, fence, ...result };
    }
    case "acked":
      return { kind: "acked", attemptId, fence };
    default:
      return null;
  }
}

function readHow(fields: Fields): Pick<AttemptResult, "outcome" | "exitCode" | "signal" | "sentence"> | null {
  const outcome = outcomes.find((candidate) => candidate === fields["outcome"]);
  if (outcome === undefined) return null;
  const { exitCode } = fields;
  return {
    outcome,
    exitCode: typeof exitCode === "number" ? exitCode : null,
    signal: text(fields["signal"]),
    sentence: text(fields["sentence"]),
  };
}

function readEnding(fields: Fields): Ending | null {
  const how = readHow(fields);
  const { cpuMs } = fields;
  return how === null ? null : { ...how, cpuMs: isCount(cpuMs) ? cpuMs : null, endedAtMs: count(fields["endedAtMs"]) };
}

function readResult(fields: Fields): AttemptResult | null {
  const how = readHow(fields);
  if (how === null) return null;
  const { startedAtMs } = fields;
  const used = asObject(fields["used"]);
  return {
    ...how,
    startedAtMs: typeof startedAtMs === "number" ? startedAtMs : null,
    finishedAtMs: count(fields["finishedAtMs"]),
    used: {
      cpuMs: count(used["cpuMs"]),
      memoryPeakMib: count(used["memoryPeakMib"]),
      vramPeakMib: count(used["vramPeakMib"]),
    },
    lastOutputSeq: count(fields["lastOutputSeq"]),
  };
}

function readReserved(value: unknown): Amounts {
  const fields = asObject(value);
  const cards = Array.isArray(fields["cards"]) ? fields["cards"] : [];
  return {
    cpuMillicores: count(fields["cpuMillicores"]),
    memoryMib: count(fields["memoryMib"]),
    cards: cards.map((card: unknown) => {
      const { cardId, vramMib, exclusive } = asObject(card);
      return { cardId: text(cardId), vramMib: count(vramMib), exclusive: exclusive === true };
    }),
  };
}

function parseObject(line: string): Fields | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : null;
  } catch {
    return null;
  }
}

function asObject(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function isFence(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

const count = (value: unknown): number => (isCount(value) ? value : 0);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
