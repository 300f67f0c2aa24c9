import { describe, expect, it } from "vitest";
import { classifyError, isAboutDatabase, isAboutValues, isRefusal, isSchemaMismatch } from "./classify-error.ts";

const withCode = (code: string, message = "x"): Error => Object.assign(new Error(message), { code });

describe("classifyError", () => {
  it.each([
    ["ECONNREFUSED", "unavailable"],
    ["ENOENT", "unavailable"],
    ["EMFILE", "unavailable"],
    ["ENFILE", "unavailable"],
    ["EADDRNOTAVAIL", "unavailable"],
    ["CERT_HAS_EXPIRED", "unavailable"],
    ["08006", "unavailable"],
    ["53300", "unavailable"],
    ["57P01", "unavailable"],
    ["57P03", "unavailable"],
    ["57P05", "unavailable"],
    ["58030", "unavailable"],
    ["28P01", "unavailable"],
    ["28000", "unavailable"],
    ["26000", "unavailable"],
    ["25006", "unavailable"],
    ["40001", "serialization"],
    ["40P01", "serialization"],
    ["55P03", "conflict"],
    ["23503", "conflict"],
    ["57014", "timeout"],
    ["53100", "disk_full"],
    ["ENOSPC", "disk_full"],
    ["42P01", "other"],
    ["42501", "other"],
    ["XX000", "other"],
  ])("%s is %s", (code, kind) => {
    expect(classifyError(withCode(code))).toEqual({ kind });
  });

  it("names the violated constraint", () => {
    const error = Object.assign(withCode("23505"), { constraint: "agents_pkey" });
    expect(classifyError(error)).toEqual({ kind: "unique_violation", constraint: "agents_pkey" });
    expect(classifyError(withCode("23505"))).toEqual({ kind: "unique_violation", constraint: "" });
  });

  it.each(["3F000", "42P01", "42703", "42P10"])("%s is of a schema of another version", (code) => {
    expect(isSchemaMismatch(new Error("wrapped", { cause: withCode(code) }))).toBe(true);
  });

  // A function or a type that is not there is asked for by a wrong statement: our schemas define none.
  it.each(["42601", "42501", "42704", "42883", "23505", "08006"])("%s is not", (code) => {
    expect(isSchemaMismatch(withCode(code))).toBe(false);
  });

  it.each([
    ["08006", true],
    ["42P01", true],
    ["23505", false],
    ["57014", false],
    ["XX000", false],
  ])("%s is about the database, whatever is asked of it: %s", (code, isIt) => {
    expect(isAboutDatabase(new Error("wrapped", { cause: withCode(code) }))).toBe(isIt);
  });

  it("a plan from before a change of the schema is known by where the server says it, in whatever language", () => {
    const routine = "RevalidateCachedQuery";
    const stale = Object.assign(withCode("0A000", "anders als angekündigt"), { routine });
    expect(classifyError(stale)).toEqual({ kind: "serialization" });
    expect(classifyError(withCode("0A000", "cached plan"))).toEqual({ kind: "other" });
  });

  it.each([
    "Connection terminated unexpectedly",
    "Client has encountered a connection error and is not queryable",
    "timeout expired",
    "Knex: Timeout acquiring a connection. The pool is probably full.",
    "Query read timeout",
  ])("knows what pg and knex say without a code: %s", (message) => {
    expect(classifyError(new Error(message))).toEqual({ kind: "unavailable" });
  });

  it("tells what somebody has to mend from what passes", () => {
    expect(isRefusal(new Error("wrapped", { cause: withCode("28P01") }))).toBe(true);
    expect(isRefusal(withCode("ECONNREFUSED"))).toBe(false);
    expect(isRefusal("text")).toBe(false);
  });

  it.each([
    ["22P02", true],
    ["23514", true],
    ["23503", true],
    ["42501", false],
    ["28P01", false],
    ["XX000", false],
  ])("%s is about the values that were given: %s", (code, isIt) => {
    expect(isAboutValues(new Error("wrapped", { cause: withCode(code) }))).toBe(isIt);
  });

  it("looks into causes and into the errors of several addresses, but not for ever", () => {
    expect(classifyError(new Error("wrapped", { cause: withCode("40001") }))).toEqual({ kind: "serialization" });
    expect(classifyError(new AggregateError([new Error("x"), withCode("ECONNREFUSED")]))).toEqual({
      kind: "unavailable",
    });
    const circular = new Error("round");
    circular.cause = circular;
    expect(classifyError(circular)).toEqual({ kind: "other" });
  });

  it.each([undefined, null, "text", 7, {}])("never throws: %s", (value) => {
    expect(classifyError(value)).toEqual({ kind: "other" });
  });
});
