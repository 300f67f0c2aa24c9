import { DatabaseRightsError, EmbeddedPostgresError } from "@headroom/postgres";
import { describe, expect, it } from "vitest";
import { renderError } from "./render.ts";

describe("an error on stderr", () => {
  it("that a person can put right is told without a stack: a right that the database role lacks", () => {
    expect(renderError(new DatabaseRightsError("the role lacks a right"))).toBe("headroom: the role lacks a right\n");
    expect(renderError(new EmbeddedPostgresError("left alone"))).toBe("headroom: left alone\n");
    expect(renderError(new TypeError("a mistake"))).toContain("please report it");
  });
});
