/** What ends by time ends one by one: an attempt that the database cannot take keeps back nobody behind it. */
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWorld, fleetSeen, planOf, type Running, waitUntil, type World } from "./harness.ts";

/** Long enough that only events start a pass over the queue. */
const neverPolls = { PAUSE_POLLING_INTERVAL_SECONDS: "3600" };
/** An agent that the registry knows, and this orchestrator does not hold: it is sent nothing. */
const notHeld = randomUUID();
let world: World;

beforeAll(async () => {
  world = await createWorld("orch_lost_sweep");
});
afterEach(async () => {
  world.registry.remove(notHeld);
  await world.reset();
});
afterAll(() => world.close());

type Due = "lost" | "undelivered";

/** Attempts of three tasks that are due to be given up, the one that is due first before the others. */
async function dueAttempts(running: Running, due: Due): Promise<readonly string[]> {
  if (due === "lost") await world.agent(running, { cores: 4 });
  else world.registry.set(notHeld, { cores: 4 });
  await fleetSeen(running, 1);
  await running.plans.dispatchPlan(planOf(3));
  const state = due === "lost" ? "running" : "assigned";
  await waitUntil(
    async () => (await world.sql("SELECT FROM orchestrator.attempts WHERE state = $1", [state])).length === 3,
  );
  const rows = await world.sql<{ attempt_id: string }>(
    "SELECT attempt_id FROM orchestrator.attempts ORDER BY number, attempt_id",
  );
  return rows.map((row) => row.attempt_id);
}

const makeDue = (attemptIds: readonly string[], due: Due) =>
  world.sql(
    `UPDATE orchestrator.attempts a SET ${due === "lost" ? "lease_expires_at" : "assigned_at"} = now() - interval '1 hour' + d.place * interval '1 second'
       FROM unnest($1::uuid[]) WITH ORDINALITY AS d(attempt_id, place) WHERE a.attempt_id = d.attempt_id`,
    [attemptIds],
  );

/** From now on the database refuses to end these attempts, and counts how often it was asked to: what is rolled back leaves a sequence as it is. */
async function refuseToEnd(attemptIds: readonly string[], sqlState: string): Promise<void> {
  await world.sql("CREATE SEQUENCE orchestrator.tries");
  await world.sql(
    `CREATE FUNCTION orchestrator.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         PERFORM nextval('orchestrator.tries');
         RAISE EXCEPTION 'this row cannot be written' USING ERRCODE = TG_ARGV[0];
       END $$`,
  );
  await world.sql(
    `CREATE TRIGGER refuse BEFORE UPDATE ON orchestrator.attempts FOR EACH ROW
       WHEN (NEW.state IN ('lost', 'undelivered') AND NEW.attempt_id IN (${attemptIds.map((id) => `'${id}'`).join(", ")}))
       EXECUTE FUNCTION orchestrator.refuse('${sqlState}')`,
  );
}

const ended = async (due: Due): Promise<readonly string[]> => {
  const rows = await world.sql<{ attempt_id: string }>(
    "SELECT attempt_id FROM orchestrator.attempts WHERE state = $1",
    [due],
  );
  return rows.map((row) => row.attempt_id);
};

describe("the sweep", () => {
  it.each(["lost", "undelivered"] as const)(
    "DESIGN 5: of attempts that are %s, one that cannot be settled keeps back none of those behind it, and is tried again",
    async (due) => {
      const running = await world.start(neverPolls);
      const [first = "", ...others] = await dueAttempts(running, due);
      await refuseToEnd([first], "P0001");
      await makeDue([first, ...others], due);
      await waitUntil(async () => (await ended(due)).length === others.length);
      expect((await ended(due)).toSorted()).toEqual(others.toSorted());
      expect(running.logger.records.find(({ level }) => level === "error")).toMatchObject({
        message: "an attempt could not be settled; it is tried again",
        fields: { attempt_id: first },
      });
      await world.sql("DROP TRIGGER refuse ON orchestrator.attempts");
      await waitUntil(async () => (await ended(due)).includes(first));
    },
  );

  it("a database that is away ends the pass: those behind are not tried in vain, one after the other", async () => {
    const running = await world.start(neverPolls);
    const attemptIds = await dueAttempts(running, "lost");
    // Cannot be connected to now.
    await refuseToEnd(attemptIds, "57P03");
    await makeDue(attemptIds, "lost");
    const failedPasses = () =>
      running.logger.records.filter(({ message }) => message.startsWith("the sweep failed")).length;
    await waitUntil(() => failedPasses() > 0);
    await running.stop();
    const [tries] = await world.sql<{ count: number }>("SELECT last_value::int AS count FROM orchestrator.tries");
    // The last pass may have been ended by the stop, and then says nothing.
    expect(tries?.count).toBeLessThanOrEqual(failedPasses() + 1);
    expect(await ended("lost")).toEqual([]);
  });
});
