/**
 * The fleet divided by what its agents lack: each division takes a part, a set of agents that lack the same so far, and makes of it those
 * that lack one thing more and those that do not. A division costs a few passes over bitmaps, however many agents there are. What the
 * agents of a part have in common bounds their ranks from below; in the end it *is* their rank (see rank-bounds.ts), but for the
 * amounts by which they fall short.
 */
import type { FitOptions, Needs } from "@headroom/scheduling";
import { type Bits, both, without } from "./bits.ts";
import type { CapacityIndex } from "./capacity-index.ts";
import { MAX_CARDS, type RankedFigure } from "./fit-columns.ts";
import { FleetPart, type Lack } from "./fleet-part.ts";
import type { MeantSets } from "./meant-sets.ts";
import { NOT_MEASURED, PERMANENT } from "./rank-bounds.ts";
import type { RangeColumn } from "./range-column.ts";

/** Empty parts are left out afterwards. */
type Division = (part: FleetPart) => readonly FleetPart[];

export class FleetParts {
  readonly #index: CapacityIndex;
  readonly #needs: Needs;
  readonly #sets: MeantSets;
  readonly #divisions: readonly Division[];
  readonly #roomLevels: number;

  constructor(index: CapacityIndex, needs: Needs, options: FitOptions, sets: MeantSets) {
    this.#index = index;
    this.#needs = needs;
    this.#sets = sets;
    // Room first: where it is missing for ever, nobody asks what else the agents lack that are not open.
    const byRoom = this.#byRoom();
    this.#divisions = [...byRoom, ...this.#byIdentity(), ...this.#byState(options)];
    this.#roomLevels = byRoom.length;
  }

  /** Those on which only room can be missing, and all others. */
  of(slots: Bits): readonly FleetPart[] {
    const { scratch } = this.#index;
    const { eligible, unblocked } = this.#sets;
    const meant = both(slots, eligible, scratch.take());
    const open = both(meant, unblocked, scratch.take());
    const others = without(slots, open, scratch.take());
    return [new FleetPart(scratch, open, { isOpen: true }), new FleetPart(scratch, others, { isOpen: false })].filter(
      (part) => !part.isEmpty,
    );
  }

  /** Null: its agents differ by nothing but amounts. */
  divide(part: FleetPart): readonly FleetPart[] | null {
    const { level: before, isOpen } = part.facts;
    const division = isOpen && before >= this.#roomLevels ? undefined : this.#divisions[before];
    if (division === undefined) return null;
    const level = before + 1;
    return division(part).flatMap((each) => (each.isEmpty ? [] : [each.with({ level })]));
  }

  #byIdentity(): readonly Division[] {
    const { pool, labelled, pinned } = this.#sets;
    const wanted = [this.#index.fitColumns.sets.desktop, pinned, pool, labelled];
    return wanted.flatMap((set) => {
      return set === null ? [] : [(part: FleetPart) => [part.within(set), part.outside(set).notMeant()]];
    });
  }

  #byState({ requireAttached }: FitOptions): readonly Division[] {
    const { online, attached, cordoned, draining, ownerHold, onProbation } = this.#index.fitColumns.sets;
    const { avoided } = this.#sets;
    const unwanted = [cordoned, draining, ownerHold, onProbation, ...(avoided === null ? [] : [avoided])];
    // Of an agent that is not online nobody asks for its stream.
    const byStream = (part: FleetPart): readonly FleetPart[] =>
      part.facts.isUnreachable ? [part] : [part.within(attached), part.outside(attached).blocked()];
    return [
      (part) => [part.within(online), part.outside(online).blocked().with({ isUnreachable: true })],
      ...unwanted.map((state) => (part: FleetPart) => [part.outside(state), part.within(state).blocked()]),
      ...(requireAttached === false ? [] : [byStream]),
    ];
  }

  #byRoom(): readonly Division[] {
    const { cpu, memory, fitColumns } = this.#index;
    const { sampled, manyCards } = fitColumns.sets;
    const { cpuMillicores, memoryMib, gpuCount } = this.#needs;
    const { models } = this.#sets;
    const unlessSettled =
      (division: Division): Division =>
      (part) =>
        part.facts.isSettled ? [part] : division(part);
    const ofCards: readonly Division[] = [
      (part) => [part.outside(manyCards), part.within(manyCards).with({ isOdd: true })],
      ...(models === null ? [] : [(part: FleetPart) => this.#byModel(part, models)]),
      (part) => this.#byCards(part),
    ];
    const divisions: readonly Division[] = [
      (part) => [part.within(sampled), settled(part.outside(sampled), NOT_MEASURED)],
      (part) => byAmount(part, cpu, fitColumns.cpuCeiling, cpuMillicores),
      (part) => byAmount(part, memory, fitColumns.memoryCeiling, memoryMib),
      ...(gpuCount > 0 ? ofCards : []),
    ];
    return divisions.map(unlessSettled);
  }

  #byModel(part: FleetPart, models: NonNullable<MeantSets["models"]>): readonly FleetPart[] {
    const matching = part.within(models.either);
    const others = part.outside(models.either);
    const last = this.#index.fitColumns.cardCeilings[this.#needs.gpuCount - 1];
    const withEnough = last === undefined ? others.none() : others.reaching(last, 0);
    return [
      matching.within(models.mixed).with({ isOdd: true }),
      matching.outside(models.mixed),
      settled(withEnough, PERMANENT).with({ isNever: true }),
      settled(others.outside(withEnough.slots), PERMANENT + 1).with({ isNever: true }),
    ];
  }

  /** By how many cards fit now, how many could ever, and how many there are. */
  #byCards(part: FleetPart): readonly FleetPart[] {
    const { gpuCount, gpuExclusive } = this.#needs;
    const { fitColumns, rankedCards } = this.#index;
    const { cardCeilings, wholeFree, wholeCeilings } = fitColumns;
    const neededMib = Math.max(1, this.#needs.gpuVramMib);
    const free = gpuExclusive ? wholeFree : rankedCards;
    const ceilings = gpuExclusive ? wholeCeilings : cardCeilings;
    // Of a card that is asked for whole no amount is missing.
    const short = (figures: RankedFigure, base: number, from: number, to: number): readonly Lack[] =>
      figures.slice(from, to).map((column) => ({ base, column: gpuExclusive ? null : column, needed: neededMib }));
    return byReach(part, free, neededMib, gpuCount).flatMap(({ count: fitting, part: some }) => {
      if (fitting >= gpuCount) return [some];
      return byReach(some, ceilings, neededMib, gpuCount).flatMap(({ count: large, part: same }) => {
        const busy = short(free, 0, fitting, large);
        if (large >= gpuCount) return [same.lacking(busy)];
        return byReach(same, cardCeilings, 0, gpuCount).map(({ count, part: alike }) => {
          const few = { base: PERMANENT + (gpuCount - fitting) / gpuCount, column: null, needed: 0 };
          const small = short(ceilings, PERMANENT, large, count);
          return alike.lacking([...(count < gpuCount ? [few] : []), ...busy, ...small]).with({ isNever: true });
        });
      });
    });
  }
}

function settled(part: FleetPart, base: number): FleetPart {
  return part.lacking([{ base, column: null, needed: 0 }]).with({ isSettled: true });
}

/** Enough, not now, and never. */
function byAmount(part: FleetPart, free: RangeColumn, ceiling: RangeColumn, needed: number): readonly FleetPart[] {
  const enough = part.reaching(free, needed);
  const short = part.outside(enough.slots);
  if (short.isEmpty) return [enough];
  const notNow = short.reaching(ceiling, needed);
  const never = short.outside(notNow.slots).with({ isNever: true });
  return [
    enough,
    notNow.lacking([{ base: 0, column: free, needed }]),
    never.lacking([{ base: PERMANENT, column: ceiling, needed }]),
  ];
}

/** By how many of the ranked figures are at `min` or above; `enough` and more count as one. */
function byReach(
  part: FleetPart,
  figures: RankedFigure,
  min: number,
  enough: number,
): readonly { readonly count: number; readonly part: FleetPart }[] {
  const found: { count: number; part: FleetPart }[] = [];
  let left = part;
  for (let count = Math.min(enough, MAX_CARDS); !left.isEmpty; count -= 1) {
    const column = figures[count - 1];
    if (column === undefined) return [...found, { count, part: left }];
    const reached = left.reaching(column, min);
    if (reached.isEmpty) continue;
    found.push({ count, part: reached });
    left = left.outside(reached.slots);
  }
  return found;
}
