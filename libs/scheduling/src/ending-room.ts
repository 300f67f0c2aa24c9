/**
 * An agent's room while its reservations end, the soonest expected first. An agent may have 4,096 of them: so each costs what it has
 * itself, once, and not once for each other one.
 */
import type { AgentView } from "./agent-view.ts";
import { type HeldRoom, type Room, roomAfterEnds } from "./capacity.ts";
import { type Amounts, type EpochMs, type Mib, NO_AMOUNTS } from "./resources.ts";

/** What ends with one reservation: of each dimension the larger of what is promised and what is used. */
interface Share {
  readonly cpuMillicores: number;
  readonly memoryMib: Mib;
  readonly cards: readonly OnCard[];
}

/** What has ended of one card, and how many are left on it. */
interface CardTally {
  endedMib: Mib;
  occupants: number;
  exclusives: number;
}

/** What every question about an agent begins with. */
interface Beginning {
  readonly inOrder: readonly HeldRoom[];
  readonly shares: readonly Share[];
  /** Of each card, while nothing has ended. */
  readonly cards: readonly Readonly<CardTally>[];
}

// Views are never changed, and a batch asks about the same few agents for each of its shapes.
const beginnings = new WeakMap<AgentView, Beginning>();

export class EndingRoom {
  /** The soonest expected to end first; those of which nobody knows last. */
  readonly inOrder: readonly HeldRoom[];
  readonly #view: AgentView;
  readonly #shares: readonly Share[];
  readonly #cards: readonly CardTally[];
  #cpuMillicores = 0;
  #memoryMib: Mib = 0;
  /** So many of the first have ended, but for those that are held again. */
  #endedFirst = 0;

  constructor(view: AgentView) {
    const { inOrder, shares, cards } = beginningOf(view);
    this.#view = view;
    this.inOrder = inOrder;
    this.#shares = shares;
    this.#cards = cards.map((card) => ({ ...card }));
  }

  /** The agent with the room that there is then. Its list of reservations is left as it was: what fits is told by the room alone. */
  get view(): AgentView {
    const cards = this.#cards.map(({ endedMib, occupants, exclusives }) => ({
      endedMib,
      occupied: occupants > 0,
      exclusivelyHeld: exclusives > 0,
    }));
    const ended = { cpuMillicores: this.#cpuMillicores, memoryMib: this.#memoryMib, cards };
    return { ...this.#view, room: roomAfterEnds(this.#view.room, ended) };
  }

  /**
   * How many of the first so many have to end for this to hold, at least one; null: not even all of them would do. They have ended then.
   *
   * Each end only ever adds to what is free, in every dimension and on every card, and a card with more room is no worse for any task. So
   * what holds after some ends holds after more, and the fewest are found by halving.
   */
  endFewest(most: number, holds: (view: AgentView) => boolean): number | null {
    this.#endFirst(most);
    if (most === 0 || !holds(this.view)) return null;
    let tooFew = 0;
    let enough = most;
    while (enough - tooFew > 1) {
      const middle = Math.floor((tooFew + enough) / 2);
      this.#endFirst(middle);
      if (holds(this.view)) enough = middle;
      else tooFew = middle;
    }
    this.#endFirst(enough);
    return enough;
  }

  /**
   * Of those from one place to before another, which have ended, holds again as many in a row as leave this so, and answers where that stops: at the
   * first that has to end. That is what trying them one by one comes to, because what does not hold with some of them does not with more; but of many that
   * need not end whole runs are tried at once.
   */
  holdAgain(from: number, to: number, holds: (view: AgentView) => boolean): number {
    let place = from;
    let run = 1;
    /** Not all before it can be held again; null: none is known yet. */
    let tooFar: number | null = null;
    while (tooFar === null ? place < to : tooFar - place > 1) {
      const end: number = tooFar === null ? Math.min(to, place + run) : place + Math.floor((tooFar - place) / 2);
      this.#moveAll(place, end, -1);
      if (holds(this.view)) {
        place = end;
        run *= 2;
      } else {
        this.#moveAll(place, end, 1);
        tooFar = end;
      }
    }
    return place;
  }

  #moveAll(from: number, to: number, sign: 1 | -1): void {
    for (let at = from; at < to; at += 1) this.#move(at, sign);
  }

  #endFirst(count: number): void {
    for (; this.#endedFirst < count; this.#endedFirst += 1) this.#move(this.#endedFirst, 1);
    for (; this.#endedFirst > count; this.#endedFirst -= 1) this.#move(this.#endedFirst - 1, -1);
  }

  /** `sign` 1: it ends; -1: it is held again. */
  #move(at: number, sign: 1 | -1): void {
    const share = this.#shares[at];
    if (share === undefined) throw new RangeError(`there is no reservation ${at}`);
    this.#cpuMillicores += sign * share.cpuMillicores;
    this.#memoryMib += sign * share.memoryMib;
    for (const { place, reservedMib, usedMib, occupies, exclusive } of share.cards) {
      const card = this.#cards[place];
      if (card === undefined) continue;
      card.endedMib += sign * Math.max(reservedMib, usedMib);
      card.occupants -= sign * Number(occupies);
      card.exclusives -= sign * Number(exclusive);
    }
  }
}

function beginningOf(view: AgentView): Beginning {
  const known = beginnings.get(view);
  if (known !== undefined) return known;
  const inOrder = [...view.reservations].sort(soonestFirst);
  const shares = sharesOf(view.room, inOrder, view);
  const cards = view.room.cards.map((): CardTally => ({ endedMib: 0, occupants: 0, exclusives: 0 }));
  for (const { place, occupies, exclusive } of shares.flatMap((share) => share.cards)) {
    const card = cards[place];
    if (card === undefined) continue;
    card.occupants += Number(occupies);
    card.exclusives += Number(exclusive);
  }
  const beginning = { inOrder, shares, cards };
  beginnings.set(view, beginning);
  return beginning;
}

function sharesOf(room: Room, inOrder: readonly HeldRoom[], { sample }: AgentView): readonly Share[] {
  const places = new Map(room.cards.map(({ cardId }, place) => [cardId, place]));
  const usedById = new Map(sample?.attempts.map(({ attemptId, used }) => [attemptId, used]));
  const onCards: (OnCard | undefined)[] = room.cards.map(() => undefined);
  return inOrder.map(({ attemptId, reserved }) => {
    const found = findOnCards(onCards, places, reserved, usedById.get(attemptId) ?? NO_AMOUNTS);
    return shareOf(room, found, reserved, usedById.get(attemptId) ?? NO_AMOUNTS);
  });
}

/** What one attempt has of one card. */
interface OnCard {
  readonly place: number;
  reservedMib: Mib;
  usedMib: Mib;
  occupies: boolean;
  exclusive: boolean;
}

/** Of the cards that are there. `onCards` is empty, by place, and is left so: a map for each of 4,096 attempts costs more than all the rest. */
function findOnCards(
  onCards: (OnCard | undefined)[],
  places: ReadonlyMap<string, number>,
  reserved: Amounts,
  used: Amounts,
): readonly OnCard[] {
  const found: OnCard[] = [];
  const at = (cardId: string): OnCard | undefined => {
    const place = places.get(cardId);
    if (place === undefined) return undefined;
    const known = onCards[place];
    if (known !== undefined) return known;
    const card = { place, reservedMib: 0, usedMib: 0, occupies: false, exclusive: false };
    onCards[place] = card;
    found.push(card);
    return card;
  };
  for (const { cardId, vramMib, exclusive } of reserved.cards) {
    const card = at(cardId);
    if (card === undefined) continue;
    card.reservedMib += vramMib;
    card.occupies = true;
    card.exclusive ||= exclusive;
  }
  for (const { cardId, vramMib } of used.cards) {
    const card = at(cardId);
    if (card === undefined) continue;
    card.usedMib += vramMib;
    card.occupies ||= vramMib > 0;
  }
  for (const { place } of found) onCards[place] = undefined;
  return found;
}

function shareOf(room: Room, onCards: readonly OnCard[], reserved: Amounts, used: Amounts): Share {
  let [reservedMib, usedMib] = [reserved.memoryMib, used.memoryMib];
  for (const card of onCards) {
    if (room.cards[card.place]?.sharedMemory !== true) continue;
    reservedMib += card.reservedMib;
    usedMib += card.usedMib;
  }
  return {
    cpuMillicores: Math.max(reserved.cpuMillicores, used.cpuMillicores),
    memoryMib: Math.max(reservedMib, usedMib),
    cards: onCards,
  };
}

function soonestFirst(a: HeldRoom, b: HeldRoom): number {
  const endOf = (held: HeldRoom): EpochMs => held.expectedEndAtMs ?? Number.MAX_SAFE_INTEGER;
  return endOf(a) - endOf(b) || (a.attemptId < b.attemptId ? -1 : 1);
}
