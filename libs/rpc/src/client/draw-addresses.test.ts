import { SeededRandom } from "@headroom/testing";
import { expect, it } from "vitest";
import { drawAddresses } from "./draw-addresses.ts";

const seed = Math.floor(Math.random() * 2 ** 31);
const random = new SeededRandom(seed);
const endpoints = (hosts: readonly string[]) => hosts.map((host) => ({ addresses: [{ host, port: 7401 }] }));

/** Whichever orders so many draws bring. */
function ordersOf(hosts: readonly string[], left: string | null): Set<string> {
  const orders = new Set<string>();
  for (let each = 0; each < 200; each += 1) {
    const drawn = drawAddresses(endpoints(hosts), random, left);
    orders.add(drawn.flatMap(({ addresses }) => addresses.map((one) => ("host" in one ? one.host : ""))).join(" "));
  }
  return orders;
}

it(`DESIGN-4: any address of the family that the resolver prefers comes first, and the others after it (seed ${seed})`, () => {
  expect(ordersOf(["::1", "10.0.0.1", "::2"], null)).toEqual(new Set(["::1 ::2 10.0.0.1", "::2 ::1 10.0.0.1"]));
  expect(ordersOf(["10.0.0.1", "::1", "::2"], null)).toEqual(new Set(["10.0.0.1 ::1 ::2", "10.0.0.1 ::2 ::1"]));
  expect(ordersOf(["10.0.0.1", "10.0.0.2"], null).size).toBe(2);
  expect(ordersOf([], null)).toEqual(new Set([""]));
});

it(`DESIGN-4: the address that was left comes last (seed ${seed})`, () => {
  const orders = ordersOf(["::1", "::2", "10.0.0.1"], "[::1]:7401");
  expect(orders).toEqual(new Set(["::2 10.0.0.1 ::1"]));
  expect(ordersOf(["10.0.0.1", "10.0.0.2"], "10.0.0.1:7401")).toEqual(new Set(["10.0.0.2 10.0.0.1"]));
});
