/**
 * The reservations of one agent, as a value: what holds room, and the tombstones of what has ended. A busy agent has 10 minutes
 * of tombstones, thousands perhaps, and few reservations that hold room. So they are kept apart: whoever decides about room
 * walks what holds room, and a change costs what holds room and a few tombstones, not all of them.
 */
import { type EpochMs, holdsRoom, TOMBSTONE_MS } from "@headroom/scheduling";
import type { StoredReservation } from "./stored-agent.ts";

/** Changes among the tombstones that lie apart and are copied with each book; more are joined with the older ones at once. */
const MAX_RECENT = 64;

type Row = StoredReservation;

/** How reservations are to stand, by attempt id; null: the attempt has no row here any more. */
export type BookChanges = ReadonlyMap<string, Row | null>;

interface Parts {
  /** What holds room. */
  readonly held: ReadonlyMap<string, Row>;
  /** Tombstones as of some time ago; many books share them, and nothing changes them. */
  readonly old: ReadonlyMap<string, Row>;
  /** What has changed among the tombstones since; null: it is none any more. */
  readonly recent: ReadonlyMap<string, Row | null>;
  readonly endedCount: number;
}

/** The book that another one was made from, by its token, and in which attempts they may differ. */
interface Origin {
  readonly token: object;
  readonly attemptIds: readonly string[];
}

export class ReservationBook {
  static readonly EMPTY = new ReservationBook({ held: new Map(), old: new Map(), recent: new Map(), endedCount: 0 });

  readonly #parts: Parts;
  /** Tells this book from all others, without keeping them alive. */
  readonly #token = {};
  readonly #origin: Origin | null;

  private constructor(parts: Parts, origin: Origin | null = null) {
    this.#parts = parts;
    this.#origin = origin;
  }

  static of(reservations: Iterable<Row>): ReservationBook {
    const held = new Map<string, Row>();
    const old = new Map<string, Row>();
    for (const row of reservations) (holdsRoom(row) ? held : old).set(row.attemptId, row);
    return new ReservationBook({ held, old, recent: new Map(), endedCount: old.size });
  }

  /** Tombstones included. */
  get size(): number {
    return this.#parts.held.size + this.#parts.endedCount;
  }

  get heldCount(): number {
    return this.#parts.held.size;
  }

  get(attemptId: string): Row | undefined {
    return this.#parts.held.get(attemptId) ?? this.#ended(attemptId);
  }

  has(attemptId: string): boolean {
    return this.get(attemptId) !== undefined;
  }

  /** Those that hold room. */
  held(): IterableIterator<Row> {
    return this.#parts.held.values();
  }

  /** All, tombstones included: for looking at everything, not for decisions. */
  *values(): Generator<Row> {
    const { held, old, recent } = this.#parts;
    yield* held.values();
    for (const row of recent.values()) if (row !== null) yield row;
    for (const row of old.values()) if (!recent.has(row.attemptId)) yield row;
  }

  /** The book after these changes. Tombstones that are too old by now are let go of, not necessarily at once. */
  with(changes: BookChanges, nowMs: EpochMs): ReservationBook {
    const held = new Map(this.#parts.held);
    const recent = new Map(this.#parts.recent);
    const { old } = this.#parts;
    let { endedCount } = this.#parts;
    for (const [attemptId, row] of changes) {
      if (this.#ended(attemptId) !== undefined) endedCount -= 1;
      held.delete(attemptId);
      if (old.has(attemptId)) recent.set(attemptId, null);
      else recent.delete(attemptId);
      if (row === null) continue;
      if (holdsRoom(row)) {
        held.set(attemptId, row);
      } else {
        recent.set(attemptId, row);
        endedCount += 1;
      }
    }
    const attemptIds = [...changes.keys()];
    if (recent.size <= MAX_RECENT) return this.#next({ held, old, recent, endedCount }, attemptIds);
    const joined = new Map<string, Row>();
    for (const row of [...old.values(), ...recent.values()]) {
      if (row === null || recent.get(row.attemptId) === null) continue;
      if ((row.releasedAtMs ?? nowMs) + TOMBSTONE_MS < nowMs) attemptIds.push(row.attemptId);
      else joined.set(row.attemptId, row);
    }
    return this.#next({ held, old: joined, recent: new Map(), endedCount: joined.size }, attemptIds);
  }

  /**
   * The book after what was read of it: all that holds room, and the tombstones that came or changed since a time up to which this one is right. Older
   * ones stay, but for those of attempts that have moved to another agent.
   */
  renewed(read: ReservationBook, moved: Iterable<string>, nowMs: EpochMs): ReservationBook {
    const changes = new Map<string, Row | null>();
    for (const attemptId of moved) if (this.has(attemptId)) changes.set(attemptId, null);
    for (const { attemptId } of this.held()) if (!read.has(attemptId)) changes.set(attemptId, null);
    for (const row of read.values()) {
      const known = this.get(row.attemptId);
      const isKnown = !holdsRoom(row) && known?.releasedAtMs === row.releasedAtMs && known.fence === row.fence;
      if (!isKnown) changes.set(row.attemptId, row);
    }
    return this.with(changes, nowMs);
  }

  /** The attempts in which this book may differ from the other one; null: it was not made from it, so look at all. */
  changesSince(other: ReservationBook): readonly string[] | null {
    return this.#origin?.token === other.#token ? this.#origin.attemptIds : null;
  }

  #next(parts: Parts, attemptIds: readonly string[]): ReservationBook {
    return new ReservationBook(parts, { token: this.#token, attemptIds });
  }

  #ended(attemptId: string): Row | undefined {
    const row = this.#parts.recent.get(attemptId);
    return row === undefined ? this.#parts.old.get(attemptId) : (row ?? undefined);
  }
}
