import { expect, it } from "vitest";
import { Engine } from "../engine/engine.ts";
import { Lane } from "./lane.ts";
import { Links } from "./links.ts";

const messages = 100;

it("messages that a slow one holds up arrive at its moment in their order, whenever they were sent", async () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const engine = new Engine(seed);
    const links = new Links(engine);
    const lane = new Lane(links, engine.process("from"), engine.process("to"), "a message");
    const heard: number[] = [];
    // Of a number of this size the difference to a smaller one is rounded, and the sum with that one is another number.
    await engine.run(1_100);
    Object.assign(links.weather.delayMs, { min: 2_800, max: 2_800 + Math.E });
    for (let message = 0; message < messages; message += 1) {
      lane.send(() => heard.push(message));
      Object.assign(links.weather.delayMs, { min: 0, max: 1 });
      await engine.run(engine.random.next() * Math.PI);
    }
    await engine.run(3_000);
    expect(heard).toEqual(Array.from({ length: messages }, (_, message) => message));
  }
});

it("what is cut off from a machine leaves it when it is awake, before what it says then", async () => {
  const engine = new Engine(1);
  const links = new Links(engine);
  const from = engine.process("from");
  const lane = new Lane(links, from, engine.process("to"), "a message");
  const heard: string[] = [];
  links.cut("from", "to", 1_000);
  lane.send(() => heard.push("before"));
  lane.send(() => heard.push("just before"));
  await engine.run(500);
  links.fallsAsleep(from);
  await engine.run(10_000);
  expect(heard).toEqual([]);
  links.wakes(from);
  lane.send(() => heard.push("after"));
  await engine.run(100);
  expect(heard).toEqual(["before", "just before", "after"]);
});

it("what left a machine before it fell asleep arrives while it sleeps", async () => {
  const engine = new Engine(1);
  const links = new Links(engine);
  const from = engine.process("from");
  Object.assign(links.weather.delayMs, { min: 100, max: 200 });
  const heard: string[] = [];
  new Lane(links, from, engine.process("to"), "a message").send(() => heard.push("on its way"));
  await engine.run(10);
  links.fallsAsleep(from);
  await engine.run(1_000);
  expect(heard).toEqual(["on its way"]);
});
