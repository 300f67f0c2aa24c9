import { between, type NamedFault } from "./fault.ts";
import { oldResults } from "./old-results.ts";

/** What is so all the time, until everything is mended. */
export const weathers: readonly NamedFault[] = [
  [
    "slow messages",
    ({ network }, random) => {
      Object.assign(network.links.weather, { slow: between(random, 0.01, 0.1), slowMs: between(random, 100, 5_000) });
      return `${network.links.weather.slow.toFixed(3)} of them by up to ${Math.round(network.links.weather.slowMs)} ms`;
    },
  ],
  [
    "breaking connections",
    ({ network }, random) => {
      network.links.weather.breaks = between(random, 0.000_5, 0.02);
      return `with ${network.links.weather.breaks.toFixed(4)} of the messages`;
    },
  ],
  [
    "calls arrive twice",
    ({ network }, random) => {
      network.links.weather.doubles = between(random, 0.02, 0.5);
      return `${network.links.weather.doubles.toFixed(3)} of those that may`;
    },
  ],
  [
    "results from the past",
    ({ network }, random) => {
      const chance = between(random, 0.2, 1);
      network.links.tap = oldResults(random, chance);
      return `before ${chance.toFixed(2)} of those that may have one`;
    },
  ],
  [
    "statements lost",
    ({ postgres }, random) => {
      postgres.weather.lostBefore = between(random, 0.000_5, 0.02);
      return `${postgres.weather.lostBefore.toFixed(4)} of them`;
    },
    "hard",
  ],
  [
    "answers of the database lost",
    ({ postgres }, random) => {
      postgres.weather.lostAfter = between(random, 0.000_5, 0.02);
      return `${postgres.weather.lostAfter.toFixed(4)} of them`;
    },
    "hard",
  ],
  [
    "serialization failures",
    ({ postgres }, random) => {
      postgres.weather.conflicts = between(random, 0.001, 0.1);
      return `${postgres.weather.conflicts.toFixed(4)} of the transactions`;
    },
  ],
  [
    "notifications unheard",
    ({ postgres }, random) => {
      postgres.weather.unheard = between(random, 0.05, 1);
      return `${postgres.weather.unheard.toFixed(2)} of them`;
    },
    "hard",
  ],
  [
    "the database's clock is wrong",
    ({ postgres }, random) => {
      postgres.clockOffsetMs = random.int(-3_600_000, 3_600_000);
      return `by ${postgres.clockOffsetMs} ms`;
    },
  ],
];
