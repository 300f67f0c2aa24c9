import { CardHistory, normalizeNeeds, TaskMix } from "@headroom/scheduling";
import { captureLogger, manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { storeStub } from "../store-stub.test-helper.ts";
import { type KeptMix, type KeptShape, StoreUnavailableError } from "../store/registry-store.ts";
import { Arrivals } from "./arrivals.ts";
import { MixKeeper } from "./mix-keeper.ts";

/** What a row of an index of PostgreSQL takes. That it refuses more, test/integration/registry/long-models.pg.test.ts shows. */
const INDEX_ROW_BYTES = 2_704;
/** As long as the contract allows. */
const longModels = Array.from({ length: 32 }, (_, index) => `${index} `.padEnd(128, "x"));

/** A keeper, and a store in which what it kept is all that there is. */
function setUp() {
  const mix = new TaskMix();
  const arrivals = new Arrivals({ mix, history: new CardHistory() });
  const kept: KeptShape[] = [];
  const storeNow = { isAway: false };
  const store = storeStub({
    async addToTaskMix(fresh): Promise<KeptMix> {
      if (storeNow.isAway) throw new StoreUnavailableError("it is away");
      const isTooLong = fresh.some(({ gpuModels }) => Buffer.byteLength(gpuModels.join()) > INDEX_ROW_BYTES);
      if (isTooLong) throw new Error("index row size exceeds maximum 2704");
      kept.push(...fresh);
      return { shapes: kept, arrivals: kept.reduce((sum, shape) => sum + shape.arrivals, 0), sinceMs: 0 };
    },
  });
  const keeper = new MixKeeper({ mix, store, ports: manualPorts(), logger: captureLogger() });
  const arrive = (taskId: string, gpuModels: readonly string[]): void =>
    arrivals.note(taskId, normalizeNeeds({ gpuModels }));
  return { mix, keeper, arrive, storeNow, keptModels: () => kept.map(({ gpuModels }) => gpuModels) };
}

it("forgets models that no row of an index takes, and keeps what came with them and after them", async () => {
  const { mix, keeper, arrive, keptModels } = setUp();
  arrive("long", longModels);
  arrive("first", ["a"]);
  expect(mix.counts()).toHaveLength(2);
  await keeper.keep();
  expect(keptModels()).toEqual([["a"]]);
  expect(mix.counts().map(({ shape }) => shape.gpuModels)).toEqual([["a"]]);
  arrive("second", ["b"]);
  await keeper.keep();
  expect(keptModels()).toEqual([["a"], ["b"]]);
  expect(keeper.kept).toMatchObject({ arrivals: 2 });
});

it("keeps the rest later where the store was away, and the long models not then either", async () => {
  const { mix, keeper, arrive, storeNow, keptModels } = setUp();
  storeNow.isAway = true;
  arrive("long", longModels);
  arrive("first", ["a"]);
  await expect(keeper.keep()).rejects.toThrow("away");
  expect(mix.freshArrivals).toBe(2);
  storeNow.isAway = false;
  await keeper.keep();
  expect(keptModels()).toEqual([["a"]]);
  expect(mix.freshArrivals).toBe(0);
});

it.each([
  ["error", new Error("odd")],
  ["debug", new StoreUnavailableError("it is away")],
  [
    "warn",
    new StoreUnavailableError("of another version", { cause: Object.assign(new Error("x"), { code: "42703" }) }),
  ],
])("what keeps it from being kept is told at %s", async (level, fault) => {
  const ports = manualPorts();
  const logger = captureLogger();
  const store = storeStub({ addToTaskMix: () => Promise.reject(fault) });
  const keeper = new MixKeeper({ mix: new TaskMix(), store, ports, logger });
  await keeper.start();
  await ports.advance(70_000);
  await keeper.stop("test");
  expect(logger.records.map((record) => record.level)).toEqual([level]);
});
