/** What a commit of reservations sends: a column of all rows in each parameter, and what rows have in common only once. */
import type { Needs } from "@headroom/scheduling";
import type { ReservationCommit, ReservationWrite } from "../registry-store.ts";
import { plainArray, textArray } from "./array-literal.ts";
import { cardAmountsToJson, needsToJson } from "./sample-json.ts";
import { toJson } from "./to-json.ts";

/** In the order in which the statement of commit-reservations.ts numbers them. */
export function reservationParameters({ guards, writes }: ReservationCommit): readonly string[] {
  // In the order of their ids, which is the order of the locks.
  const rows = writes.toSorted((a, b) => (a.reservation.attemptId < b.reservation.attemptId ? -1 : 1));
  const plain = (valueOf: (write: ReservationWrite) => number | string | null): string => plainArray(rows.map(valueOf));
  const cards = distinct(rows.map(({ reservation }) => toJson(cardAmountsToJson(reservation.reserved.cards))));
  const shapes = distinct(rows.map(({ reservation }) => reservation.shape));
  const needs = distinct(needsOf(rows));
  return [
    plainArray(guards.map(({ agentId }) => agentId)),
    plainArray(guards.map(({ version }) => version)),
    textArray(cards.values),
    textArray(shapes.values),
    textArray(needs.values),
    plain(({ reservation }) => reservation.attemptId),
    plain(({ reservation }) => reservation.agentId),
    plain(({ previousAgentId }) => previousAgentId),
    plain(({ reservation }) => reservation.fence),
    plain(({ reservation }) => reservation.state),
    plain(({ reservation }) => reservation.reserved.cpuMillicores),
    plain(({ reservation }) => reservation.reserved.memoryMib),
    plainArray(cards.places),
    plainArray(shapes.places),
    plainArray(needs.places),
    plain(({ leaseMs }) => rounded(leaseMs)),
    plain(({ reservation }) => rounded(reservation.expectedEndAtMs)),
    plain(({ reservation, beginsNow }) => (beginsNow ? null : reservation.reservedAtMs)),
    plain(({ reservation, endsNow }) => (endsNow ? null : reservation.releasedAtMs)),
    textArray(rows.map(({ reservation }) => reservation.planId)),
    textArray(rows.map(({ reservation }) => reservation.taskId)),
  ];
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}

/** Rows of one batch mostly ask for the same, often in the same object. */
function needsOf(rows: readonly ReservationWrite[]): readonly (string | null)[] {
  const texts = new Map<Needs, string>();
  return rows.map(({ reservation: { needs } }) => {
    if (needs === null) return null;
    const text = texts.get(needs) ?? toJson(needsToJson(needs));
    texts.set(needs, text);
    return text;
  });
}

interface Distinct {
  readonly values: readonly string[];
  /** Where each text stands among the values, counted from 1 as PostgreSQL does. */
  readonly places: readonly (number | null)[];
}

function distinct(texts: readonly (string | null)[]): Distinct {
  const placeOf = new Map<string, number>();
  const places = texts.map((text) => {
    if (text === null) return null;
    const place = placeOf.get(text) ?? placeOf.size + 1;
    placeOf.set(text, place);
    return place;
  });
  return { values: [...placeOf.keys()], places };
}
