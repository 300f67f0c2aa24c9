import { describe, expect, it } from "vitest";
import { mayHeal } from "./wait.ts";

const answered = (code: string): Error => Object.assign(new Error(code), { code });

describe("what waiting for a database may heal", () => {
  it.each(["ECONNREFUSED", "57P03", "25006", "53300", "57014"])("%s", (code) => {
    expect(mayHeal(answered(code))).toBe(true);
  });

  it("a full disk, which a registry met that was started while its PostgreSQL had no room (53100)", () => {
    expect(mayHeal(answered("53100"))).toBe(true);
  });

  it.each(["28P01", "3D000", "42501"])("not %s: a password, a name, a right", (code) => {
    expect(mayHeal(answered(code))).toBe(false);
  });
});
