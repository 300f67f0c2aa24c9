import { expect, it } from "vitest";
import type { LogFields } from "./logger-types.ts";
import { silentLogger } from "./index.ts";
import { Outage } from "./outage.ts";

it("an outage is told once when it begins, with its error, and once when it is over", () => {
  const told: unknown[] = [];
  const at =
    (level: string) =>
    (...[first, message]: [LogFields | string, string?]): void =>
      void told.push(typeof first === "string" ? [level, first] : [level, message, first]);
  const logger = { ...silentLogger, debug: at("debug"), info: at("info"), warn: at("warn") };
  const outage = new Outage(logger, { fails: "it fails", works: "it works again" });
  outage.worked();
  expect(told).toEqual([]);
  const error = new Error("away");
  const fields = { err: error, attempts: 2 };
  for (let time = 0; time < 3; time += 1) outage.failed(error, { attempts: 2 });
  expect(told.splice(0)).toEqual([
    ["warn", "it fails", fields],
    ["debug", "it fails", fields],
    ["debug", "it fails", fields],
  ]);
  outage.worked();
  outage.worked();
  expect(told.splice(0)).toEqual([["info", "it works again"]]);
  outage.failed(error);
  expect(told).toEqual([["warn", "it fails", { err: error }]]);
});
