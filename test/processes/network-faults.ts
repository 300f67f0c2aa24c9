import { setTimeout as pause } from "node:timers/promises";
import type { SeededRandom } from "@headroom/testing";
import { between, type Fault, type Field, type NamedFault, oneOf, shuffled } from "./fault.ts";
import type { Road } from "./faulty-link.ts";
import { database } from "./faulty-network.ts";

/** Streams are opened anew with a back-off, and loops have one of their own. */
const recoveryMs = 15_000;
/** Nobody says that a connection leads nowhere: it is found by keepalive, 30 s and 10 s, and by the time-out of a statement, 40 s. */
const foundByKeepaliveMs = 45_000;

interface Choice {
  readonly what: string;
  readonly roads: readonly Road[];
}

/** One way between two processes; or all that lead to or from one process. */
function someRoads({ network, cluster }: Field, random: SeededRandom): Choice {
  if (random.next() < 0.5) {
    const road = oneOf(random, network.roads);
    return { what: `${road.caller} and ${road.callee}`, roads: [road] };
  }
  const member = oneOf(random, [...cluster.registries, ...cluster.orchestrators, ...cluster.agents]);
  return { what: `${member.name} and all others`, roads: network.roadsOf(member.name) };
}

const slow: Fault = async (field) => {
  const { random } = field;
  const forMs = between(random, 3_000, 10_000);
  const delayMs = { min: between(random, 5, 50), max: between(random, 60, 600) };
  const { what, roads } = someRoads(field, random);
  const ended = field.outage(recoveryMs);
  for (const { there, back } of roads) there.delayMs = back.delayMs = delayMs;
  await pause(forMs);
  for (const { there, back } of roads) there.delayMs = back.delayMs = { min: 0, max: 0 };
  ended();
  return `${what}: ${delayMs.min} to ${delayMs.max} ms, for ${forMs} ms`;
};

const loss: Fault = async (field) => {
  const { random } = field;
  const forMs = between(random, 3_000, 10_000);
  const lossy = { chance: 0.01 + random.next() * 0.2, againAfterMs: between(random, 200, 2_000) };
  const { what, roads } = someRoads(field, random);
  const ended = field.outage(recoveryMs);
  for (const { there, back } of roads) there.loss = back.loss = lossy;
  await pause(forMs);
  for (const { there, back } of roads) there.loss = back.loss = { chance: 0, againAfterMs: 0 };
  ended();
  return `${what}: ${(lossy.chance * 100).toFixed(0)} % of the pieces, sent again after ${lossy.againAfterMs} ms, for ${forMs} ms`;
};

async function cut(field: Field, { what, roads }: Choice, directions: readonly ("there" | "back")[]): Promise<string> {
  const forMs = between(field.random, 2_000, 15_000);
  const ended = field.outage(recoveryMs);
  const mends = roads.flatMap((road) => directions.map((direction) => road[direction].cut()));
  await pause(forMs);
  for (const mend of mends) mend();
  ended();
  return `${what} for ${forMs} ms`;
}

const partition: Fault = (field) => cut(field, someRoads(field, field.random), ["there", "back"]);

const oneWayPartition: Fault = (field) => {
  const choice = someRoads(field, field.random);
  const isThere = field.random.next() < 0.5;
  const what = `${choice.what}, what the caller ${isThere ? "says" : "hears"}`;
  return cut(field, { ...choice, what }, [isThere ? "there" : "back"]);
};

/** All agents lose one of the two services. */
const fleetPartition: Fault = (field) => {
  const service = oneOf(field.random, ["registry", "orchestrator"]);
  const roads = field.network.roads.filter(
    ({ caller, callee }) => caller.startsWith("agent") && callee.startsWith(service),
  );
  return cut(field, { what: `all agents and every ${service}`, roads }, ["there", "back"]);
};

const reset: Fault = (field) => {
  const { what, roads } = someRoads(field, field.random);
  const ended = field.outage(recoveryMs);
  for (const road of roads) road.reset();
  ended();
  return Promise.resolve(what);
};

const halfOpen: Fault = async (field) => {
  const { random, network } = field;
  const choice = someRoads(field, random);
  // A way with nothing on it has nothing to forget.
  const road = shuffled(random, network.roads).find(({ connections }) => connections > 0);
  const isIdle = choice.roads.every(({ connections }) => connections === 0);
  if (isIdle && road === undefined) return null;
  const { what, roads } = isIdle ? { what: `${road!.caller} and ${road!.callee}`, roads: [road!] } : choice;
  const ended = field.outage(foundByKeepaliveMs);
  for (const one of roads) one.forget();
  ended();
  await pause(0);
  return what;
};

/** One service process loses its database, the others keep it. */
const databasePartition: Fault = (field) => {
  const road = oneOf(
    field.random,
    field.network.roads.filter(({ callee }) => callee === database),
  );
  return cut(field, { what: `${road.caller} and ${database}`, roads: [road] }, ["there", "back"]);
};

export const networkFaults: readonly NamedFault[] = [
  ["delay", slow],
  ["loss", loss],
  ["partition", partition],
  ["partition", databasePartition],
  ["partition", fleetPartition],
  ["one-way partition", oneWayPartition],
  ["one-way partition", oneWayPartition],
  ["connection reset", reset],
  ["half-open connections", halfOpen],
];
