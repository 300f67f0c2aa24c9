import type { PrivatePostgres, SeededRandom } from "@headroom/testing";
import type { Cluster } from "../e2e/support/cluster.ts";
import type { ServiceProcess } from "../e2e/support/service-process.ts";
import type { FaultyNetwork } from "./faulty-network.ts";
import type { SmallDisks } from "./small-disks.ts";

/** What a fault can lay hands on. */
export interface Field {
  readonly cluster: Cluster;
  readonly postgres: PrivatePostgres;
  readonly network: FaultyNetwork;
  /** Null: none can be made here. */
  readonly disks: SmallDisks | null;
  readonly random: SeededRandom;
  /** Takes a process for one fault alone; null: it is gone, or another fault has it. */
  take(process: ServiceProcess): Taken | null;
  isTaken(process: ServiceProcess): boolean;
  /** Takes the database for one fault alone. */
  takeDatabase(): Taken | null;
  /** How often each was killed. */
  readonly kills: Map<ServiceProcess, number>;
  /** Something that must not be, beside what the checker finds. */
  complain(problem: string): void;
  /** From now on nobody is to be blamed that work waits, until `ended` and as long again as it takes to find out. */
  outage(recoveryMs: number): Ended;
  /** A registry process that stood still goes on: what it knows of its agents is old for a while (DESIGN 4). */
  registryWoke(): void;
}

export interface Taken {
  giveBack(): void;
}

export type Ended = () => void;

/** Something that goes wrong, and is right again when it resolves; null: just now it cannot be done. Answers what it was. */
export type Fault = (field: Field) => Promise<string | null>;

/** Its kind, for the figures. */
export type NamedFault = readonly [kind: string, fault: Fault];

export function between(random: SeededRandom, min: number, max: number): number {
  return Math.round(min + random.next() * (max - min));
}

export function oneOf<T>(random: SeededRandom, items: readonly T[]): T {
  const item = items[random.int(0, items.length - 1)];
  if (item === undefined) throw new Error("nothing to choose from");
  return item;
}

export function shuffled<T>(random: SeededRandom, items: readonly T[]): T[] {
  const mixed = [...items];
  for (let last = mixed.length - 1; last > 0; last -= 1) {
    const other = random.int(0, last);
    [mixed[last], mixed[other]] = [mixed[other]!, mixed[last]!];
  }
  return mixed;
}
