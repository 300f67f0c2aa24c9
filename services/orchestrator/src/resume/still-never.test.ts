import { wire } from "@headroom/contracts";
import { unavailable } from "@headroom/rpc";
import { silentLogger, sleep } from "@headroom/runtime";
import { type Needs, normalizeNeeds, shapeKey } from "@headroom/scheduling";
import { manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { queueShape } from "../accept/queue-shape.ts";
import type { PausedTaskRecord } from "../store/model.ts";
import { createStillNever } from "./still-never.ts";

const { FleetVerdict } = wire;
const needsOf = (cores: number, gpuCount = 0): Needs => normalizeNeeds({ cpuMillicores: cores * 1_000, gpuCount });
const request = { planId: null, cause: "interval", thorough: true, signal: new AbortController().signal };

const headOf = (needs: Needs) => ({ shapeKey: queueShape(needs), needs });

type Answer = wire.FleetVerdict | "away" | "refuses";

/** A queue of tasks that say "never", and a registry that gives `verdict` of each. */
function begin(queue: readonly Needs[], answer: Answer, sentence = "short", answersInMs = 0) {
  const ports = manualPorts();
  let machines = 0;
  let verdict = answer;
  const asked: Needs[] = [];
  const stamped: (readonly [shape: string, reason: string, sentence: string])[] = [];
  const stillNever = createStillNever({
    store: {
      listPaused(filter, { limit, after }) {
        expect(filter.reasons).toEqual(["NO_AGENT_CAN_EVER_FIT"]);
        const from = Number(after ?? 0);
        const items = queue
          .slice(from, from + limit)
          .map((needs) => ({ needs, pause: { sentence: "short" } }) as unknown as PausedTaskRecord);
        return Promise.resolve({ items, next: from + limit < queue.length ? String(from + limit) : null });
      },
    },
    registry: {
      async explain(needs) {
        asked.push(needs);
        if (answersInMs > 0) await sleep(ports.timers, answersInMs);
        if (verdict === "away") return Promise.reject(unavailable("REGISTRY_AWAY", "away", 1_000));
        if (verdict === "refuses") return Promise.reject(new Error("what is asked cannot be answered"));
        const explanation = wire.CapacityExplanation.fromPartial({ verdict, sentence });
        return Promise.resolve({ explanation, roomInMs: null, roomOnAgentId: null });
      },
    },
    stamper: {
      stamp(shapes) {
        for (const [shape, held] of shapes) stamped.push([shape, held.reason, held.sentence]);
        return Promise.resolve();
      },
    },
    fleet: { machines: () => machines },
    clock: ports.clock,
    timers: ports.timers,
    logger: silentLogger,
  });
  return {
    asked,
    stamped,
    stillNever,
    ports,
    answers: (now: Answer) => void (verdict = now),
    aMachineJoins: () => void (machines += 1),
  };
}

describe("what no agent could ever take, behind a closed gate", () => {
  it.each([
    [FleetVerdict.FLEET_VERDICT_NOT_NOW, "NO_AGENT_FITS_NOW"],
    [FleetVerdict.FLEET_VERDICT_FITS, "AWAITING_TURN"],
  ])("says something else when the registry does (%i)", async (verdict, reason) => {
    const { stamped, stillNever } = begin([needsOf(64)], verdict);
    await stillNever.ask(request, () => true, []);
    expect(stamped).toEqual([[shapeKey(needsOf(64)), reason, "short"]]);
  });

  it("finds the rows of needs whose key is too long for an index", async () => {
    const labels = Object.fromEntries(["a", "b", "c", "d"].map((key) => [key, key.repeat(200)]));
    const long = normalizeNeeds({ cpuMillicores: 64_000, labels });
    const { stamped, stillNever } = begin([long], FleetVerdict.FLEET_VERDICT_NOT_NOW);
    await stillNever.ask(request, () => true, []);
    expect(stamped.map(([shape]) => shape)).toEqual([queueShape(long)]);
    expect(queueShape(long)).not.toBe(shapeKey(long));
  });

  it("goes on to the next kind where the registry does not answer about one, and ends where it is away", async () => {
    const queue = [needsOf(64), needsOf(65)];
    const refuses = begin(queue, "refuses");
    await refuses.stillNever.ask(request, () => true, []);
    expect(refuses.asked).toHaveLength(2);
    const away = begin(queue, "away");
    await away.stillNever.ask(request, () => true, []);
    expect(away.asked).toHaveLength(1);
  });

  it("says the same as long as it is so; in new words where the nearest agent is another one", async () => {
    const same = begin([needsOf(64)], FleetVerdict.FLEET_VERDICT_NEVER);
    await same.stillNever.ask(request, () => true, []);
    expect(same.stamped).toEqual([]);
    const nearer = begin([needsOf(64)], FleetVerdict.FLEET_VERDICT_NEVER, "less short");
    await nearer.stillNever.ask(request, () => true, []);
    expect(nearer.stamped).toEqual([[shapeKey(needsOf(64)), "NO_AGENT_CAN_EVER_FIT", "less short"]]);
  });

  it.each([FleetVerdict.FLEET_VERDICT_NO_AGENT_ONLINE, "away"] as const)(
    "stays as it is when the registry has nothing to tell (%s)",
    async (verdict) => {
      const { stamped, stillNever } = begin([needsOf(64)], verdict);
      await stillNever.ask(request, () => true, []);
      expect(stamped).toEqual([]);
    },
  );

  it("is asked about once a shape, and only of the kinds that are held", async () => {
    const { asked, stillNever } = begin(
      [needsOf(64), needsOf(64), needsOf(64, 1), needsOf(32)],
      FleetVerdict.FLEET_VERDICT_NEVER,
    );
    await stillNever.ask(request, ({ usesGpu }) => !usesGpu, []);
    expect(asked).toEqual([needsOf(64), needsOf(32)]);
  });

  it("is asked about in turns where there is much of it, and nothing is left out", async () => {
    const queue = Array.from({ length: 250 }, (_, n) => needsOf(n + 10));
    const { asked, stillNever } = begin(queue, FleetVerdict.FLEET_VERDICT_NEVER);
    await stillNever.ask(request, () => true, []);
    expect(asked).toHaveLength(100);
    await stillNever.ask(request, () => true, []);
    await stillNever.ask(request, () => true, []);
    expect(asked).toEqual(queue);
    await stillNever.ask(request, () => true, []);
    expect(asked).toHaveLength(350);
  });

  it("is found as well of what the gate has held from the beginning, and asked for again after a while", async () => {
    const { asked, stamped, stillNever, ports, answers } = begin([], FleetVerdict.FLEET_VERDICT_NEVER);
    const head = headOf(needsOf(64));
    expect(stillNever.verdictOn(head.shapeKey)).toBeNull();
    await stillNever.ask(request, () => true, [head]);
    await stillNever.ask(request, () => true, [head]);
    expect(asked).toEqual([needsOf(64)]);
    expect(stillNever.verdictOn(head.shapeKey)).toEqual({ reason: "NO_AGENT_CAN_EVER_FIT", sentence: "short" });
    answers(FleetVerdict.FLEET_VERDICT_NOT_NOW);
    await ports.advance(60_000);
    await stillNever.ask(request, () => true, [head]);
    expect([asked.length, stillNever.verdictOn(head.shapeKey)]).toEqual([2, null]);
    // Its rows say nothing of it: what the gate says of them stands.
    expect(stamped).toEqual([]);
  });

  it("is believed no longer than it is asked for again", async () => {
    const { stillNever, ports } = begin([], FleetVerdict.FLEET_VERDICT_NEVER);
    const head = headOf(needsOf(64));
    await stillNever.ask(request, () => true, [head]);
    await ports.advance(119_999);
    expect(stillNever.verdictOn(head.shapeKey)).not.toBeNull();
    await ports.advance(1);
    expect(stillNever.verdictOn(head.shapeKey)).toBeNull();
  });

  it("takes back what its rows say in the same poll, when an agent has come that could take it", async () => {
    const { asked, stamped, stillNever } = begin([needsOf(64)], FleetVerdict.FLEET_VERDICT_NOT_NOW);
    await stillNever.ask(request, () => true, [headOf(needsOf(64))]);
    expect(asked).toHaveLength(1);
    expect(stamped).toEqual([[queueShape(needsOf(64)), "NO_AGENT_FITS_NOW", "short"]]);
  });

  it("is asked of what is held in turns as well, and leaves questions for the rest", async () => {
    const queue = Array.from({ length: 250 }, (_, n) => needsOf(n + 1_000));
    const { asked, stillNever } = begin(queue, FleetVerdict.FLEET_VERDICT_NEVER);
    const held = Array.from({ length: 120 }, (_, n) => needsOf(n + 10));
    await stillNever.ask(request, () => true, held.map(headOf));
    expect(asked).toEqual([...held.slice(0, 50), ...queue.slice(0, 100)]);
    for (let poll = 0; poll < 2; poll += 1) await stillNever.ask(request, () => true, held.map(headOf));
    expect(new Set(asked)).toEqual(new Set([...held, ...queue]));
  });

  it("is believed no more once an agent has come that could take it, and asked for again at once", async () => {
    const { asked, stillNever, answers, aMachineJoins } = begin([], FleetVerdict.FLEET_VERDICT_NEVER);
    const head = headOf(needsOf(64));
    await stillNever.ask(request, () => true, [head]);
    expect(stillNever.verdictOn(head.shapeKey)).not.toBeNull();
    aMachineJoins();
    expect(stillNever.verdictOn(head.shapeKey)).toBeNull();
    answers(FleetVerdict.FLEET_VERDICT_NOT_NOW);
    await stillNever.ask(request, () => true, [head]);
    expect([asked.length, stillNever.verdictOn(head.shapeKey)]).toEqual([2, null]);
  });

  it("is asked about for half a second at most, half of it about what is held, and in turns until nothing is left out", async () => {
    const queue = Array.from({ length: 30 }, (_, n) => needsOf(n + 1_000));
    const held = Array.from({ length: 30 }, (_, n) => needsOf(n + 10));
    const { asked, stillNever, ports } = begin(queue, FleetVerdict.FLEET_VERDICT_NEVER, "short", 50);
    const poll = async (): Promise<void> => {
      let isOver = false;
      const ended = stillNever.ask(request, () => true, held.map(headOf)).then(() => void (isOver = true));
      for (let ms = 0; ms <= 500; ms += 10) await ports.advance(10);
      expect(isOver).toBe(true);
      await ended;
    };
    await poll();
    expect(asked.length).toBeLessThanOrEqual(10);
    expect(asked).toContainEqual(held[0]);
    expect(asked).toContainEqual(queue[0]);
    for (let n = 0; n < 7; n += 1) await poll();
    expect(new Set(asked)).toEqual(new Set([...held, ...queue]));
  });

  it("is not waited for where the registry stands still", async () => {
    const { stillNever, ports } = begin([needsOf(64)], FleetVerdict.FLEET_VERDICT_NEVER, "short", 3_000);
    let isOver = false;
    const ended = stillNever.ask(request, () => true, [headOf(needsOf(32))]).then(() => void (isOver = true));
    for (let ms = 0; ms < 500; ms += 10) await ports.advance(10);
    expect(isOver).toBe(true);
    await ended;
  });

  it("keeps nobody from asking about what comes after it, however long the registry looks for it", async () => {
    const { asked, stillNever, ports } = begin([needsOf(64), needsOf(65)], FleetVerdict.FLEET_VERDICT_NEVER, "", 3_000);
    for (let poll = 0; poll < 2; poll += 1) {
      const ended = stillNever.ask(request, () => true, []);
      await ports.advance(500);
      await ended;
    }
    expect(asked).toEqual([needsOf(64), needsOf(65)]);
  });
});
