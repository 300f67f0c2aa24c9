import { unavailable } from "@headroom/rpc";
import { manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { UnfitWatch } from "./unfit.ts";

const refuse = (reason: string) => Promise.reject(unavailable(reason, "not now", 1_000));

it("a process that goes on refusing is left once in five seconds, however much it refuses: there may be no other", async () => {
  const ports = manualPorts();
  let reconnects = 0;
  const told: unknown[] = [];
  const unfit = new UnfitWatch({ reconnect: () => void (reconnects += 1) }, ports.timers);
  const unsubscribe = unfit.onLeft((error) => told.push(error));
  const ask = () => expect(unfit.heard(refuse("REGISTRY_STARTING"))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  for (let each = 0; each < 49; each += 1) {
    await ask();
    await ports.advance(100);
  }
  expect(reconnects).toBe(1);
  await ports.advance(100);
  unsubscribe();
  await ask();
  expect(reconnects).toBe(2);
  expect(told).toMatchObject([{ reason: "REGISTRY_STARTING" }]);
});

it("a process whose database does not answer is not left for a call: the others have the same", async () => {
  const ports = manualPorts();
  let reconnects = 0;
  const unfit = new UnfitWatch({ reconnect: () => void (reconnects += 1) }, ports.timers);
  await expect(unfit.heard(refuse("DATABASE_UNAVAILABLE"))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(await unfit.heard(Promise.resolve(7))).toBe(7);
  expect(reconnects).toBe(0);
});
