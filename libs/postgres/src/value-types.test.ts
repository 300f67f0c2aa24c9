import { describe, expect, it } from "vitest";
import { parseInt8, parseTimestamptz } from "./value-types.ts";
import { describeTarget } from "./connection.ts";
import { definedStatements, defineStatement } from "./statement.ts";

describe("values", () => {
  it("int8 is a number, or an error where a number would lie", () => {
    expect(parseInt8("9007199254740991")).toBe(Number.MAX_SAFE_INTEGER);
    expect(parseInt8("-5")).toBe(-5);
    expect(() => parseInt8("9007199254740992")).toThrow(RangeError);
  });

  it.each([
    ["2024-01-01 00:00:00+00", Date.UTC(2024, 0, 1)],
    ["2024-01-01 00:00:00.123456+00", Date.UTC(2024, 0, 1) + 123],
    ["2024-01-01 05:30:00+05:30", Date.UTC(2024, 0, 1)],
    ["12024-01-01 00:00:00+00", Date.UTC(12_024, 0, 1)],
    ["infinity", Number.POSITIVE_INFINITY],
    ["-infinity", Number.NEGATIVE_INFINITY],
  ])("timestamptz %s is epoch milliseconds", (text, ms) => {
    expect(parseTimestamptz(text)).toBe(ms);
  });
});

describe("describeTarget", () => {
  it.each([
    ["postgresql://me:secret@db.example:5433/work", 'database "work" at db.example:5433'],
    ["postgresql://me@localhost/work?host=%2Fvar%2Frun&port=5432", 'database "work" at /var/run'],
    ["postgresql://me:secret@/work?host=/tmp", 'database "work" at /tmp'],
    ["not a url with secret", "an unreadable connection URL"],
  ])("%s", (url, text) => {
    expect(describeTarget(url)).toBe(text);
    expect(describeTarget({ connectionString: url })).not.toContain("secret");
  });
});

describe("defineStatement", () => {
  it("takes names of 1 to 63 bytes", () => {
    expect(defineStatement({ name: "a".repeat(63), text: " SELECT 1 " }).text).toBe("SELECT 1");
    expect(() => defineStatement({ name: "ä".repeat(32), text: "" })).toThrow("64 bytes");
    expect(() => defineStatement({ name: "", text: "" })).toThrow("0 bytes");
  });

  it("knows all that are defined, and gives no name twice", () => {
    const statement = defineStatement({ name: "test_one_name", text: "SELECT 1" });
    expect(definedStatements()).toContain(statement);
    expect(defineStatement({ name: "test_one_name", text: "SELECT 1 " })).toEqual(statement);
    expect(() => defineStatement({ name: "test_one_name", text: "SELECT 2" })).toThrow("test_one_name");
  });
});
