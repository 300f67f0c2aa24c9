/**
 * What it costs to choose a machine: the default policy, learning, on 1,213 machines and on 100,000 of the same mix, against a
 * plain scan of all machines with best-fit. Fleet and tasks are made by chance from a seed; no trace is read. The fleet is nearly
 * full, and for each task that comes another ends, so that what is measured finds changed machines.
 */
import {
  DEFAULT_RULE_NAME,
  type Placed,
  PlacementEngine,
  type PlacementShape,
  RULES,
  seededRandom,
} from "@headroom/scheduling";
import type { Bench } from "./support/bench.ts";
import { progress } from "./support/bench.ts";
import { median, percentile, rounded } from "./support/stats.ts";
import { scanBestFit } from "./support/scan-best-fit.ts";
import { SyntheticFleet, taskShapes } from "./support/synthetic-fleet.ts";

const SMALL_MACHINES = 1_213;
const LARGE_MACHINES = 100_000;
const TARGET_SMALL = 0.6;
const TARGET_GROWTH = 5;
/** Tasks per machine: about 90 % of the VRAM is then taken. */
const TASKS_PER_MACHINE = 6;
/** Of scans in one run: enough of them on a small fleet, some on a large one. */
const MAX_SCANNED_MACHINES = 6_000_000;

interface Costs {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly meanUs: number;
}

export const placement: Bench = async ({ quick }) => {
  const measured = quick ? 1_000 : 5_000;
  const small = runs(SMALL_MACHINES, measured, quick ? 1 : 3);
  const large = runs(quick ? LARGE_MACHINES / 10 : LARGE_MACHINES, measured, 1);
  const ratio = small.engine.p50Us / small.scan.p50Us;
  const growth = large.engine.p50Us / small.engine.p50Us;
  const p99 = {
    ratio: rounded(small.engine.p99Us / small.scan.p99Us),
    growth: rounded(large.engine.p99Us / small.engine.p99Us),
  };
  return {
    bench: "placement",
    ratio: rounded(ratio),
    value: rounded(small.engine.p50Us),
    limit: rounded(small.scan.p50Us),
    unit: "µs per placement at 1,213 machines (p50; p99 and mean beside, which hold what is learned anew)",
    target: `at most ${TARGET_SMALL} of a plain scan; at 100,000 machines at most ${TARGET_GROWTH} times that`,
    reached: ratio <= TARGET_SMALL && growth <= TARGET_GROWTH,
    growth: rounded(growth),
    p99,
    small,
    large,
  };
};

interface Measured {
  readonly engine: Costs;
  readonly scan: Costs;
  /** Of the tasks, those for which there was room. */
  readonly placedShare: number;
}

/** The median of some runs on a fleet that is nearly full, as the gate likes it, and stays so. */
function runs(machines: number, measured: number, times: number): Measured {
  const all: Measured[] = [];
  for (let seed = 1; seed <= times; seed += 1) {
    const one = run(machines, measured, seed);
    const { engine, scan } = one;
    all.push(one);
    progress(`${machines} machines: ${rounded(engine.p50Us)} µs, scan ${rounded(scan.p50Us)} µs (p50)`);
  }
  return {
    engine: middle(all.map(({ engine }) => engine)),
    scan: middle(all.map(({ scan }) => scan)),
    placedShare: median(all.map(({ placedShare }) => placedShare)),
  };
}

function run(machines: number, measured: number, seed: number): Measured {
  const random = seededRandom(seed);
  const shapes = taskShapes(random);
  const rule = RULES.get(DEFAULT_RULE_NAME);
  if (rule === undefined) throw new Error("the default policy has no rule");
  const engine = new PlacementEngine(rule);
  const fleet = new SyntheticFleet(machines, engine, random);
  const place = (shape: PlacementShape): Placed | null => {
    engine.mix.arrive(shape);
    const placed = engine.choose(shape);
    if (placed !== null) engine.take(placed, shape);
    return placed;
  };
  const begin = (shape: PlacementShape, placed: Placed | null): boolean => {
    if (placed !== null) fleet.begin(placed, shape);
    return placed !== null;
  };
  const draw = (): PlacementShape => shapes[Math.floor(random() ** 2 * shapes.length)] ?? failed();
  for (let task = 0; task < machines * TASKS_PER_MACHINE; task += 1) {
    const shape = draw();
    begin(shape, place(shape));
  }
  const drawn = Array.from({ length: measured }, draw);
  const { states } = fleet;
  const scan = timed(drawn.slice(0, MAX_SCANNED_MACHINES / machines), (shape) => scanBestFit(states, shape));
  let placedTasks = 0;
  // From here on one task ends for each that comes.
  const placed = timed(drawn, place, {
    before: () => fleet.endOne(),
    after: (shape, answer) => void (placedTasks += Number(begin(shape, answer))),
  });
  return { engine: placed, scan, placedShare: rounded(placedTasks / measured) };
}

interface Around<Answer> {
  readonly before: () => void;
  readonly after: (shape: PlacementShape, answer: Answer) => void;
}

function timed<Answer>(
  shapes: readonly PlacementShape[],
  place: (shape: PlacementShape) => Answer,
  around?: Around<Answer>,
): Costs {
  const us = shapes.map((shape) => {
    around?.before();
    const from = process.hrtime.bigint();
    const answer = place(shape);
    const tookUs = Number(process.hrtime.bigint() - from) / 1_000;
    around?.after(shape, answer);
    return tookUs;
  });
  return {
    p50Us: rounded(percentile(us, 50)),
    p99Us: rounded(percentile(us, 99)),
    meanUs: rounded(us.reduce((sum, value) => sum + value, 0) / us.length),
  };
}

function middle(costs: readonly Costs[]): Costs {
  return {
    p50Us: median(costs.map(({ p50Us }) => p50Us)),
    p99Us: median(costs.map(({ p99Us }) => p99Us)),
    meanUs: median(costs.map(({ meanUs }) => meanUs)),
  };
}

function failed(): never {
  throw new Error("the bench drew nothing");
}
