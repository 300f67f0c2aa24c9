import { describe, expect, it } from "vitest";
import { mayHeal } from "./wait.ts";

const answered = (code: string): Error => Object.assign(new Error(code), { code });

describe("what waiting for a database may heal", () => {
  it.each(["ECONNREFUSED", "EMFILE", "57P03", "57P05", "25006", "53300", "57014", "58030"])("%s", (code) => {
    expect(mayHeal(answered(code))).toBe(true);
  });

  it("a full disk, which a registry met that was started while its PostgreSQL had no room (53100)", () => {
    expect(mayHeal(answered("53100"))).toBe(true);
  });

  it.each(["28P01", "28000", "3D000", "42501"])("not %s: a password, a name, a right", (code) => {
    expect(mayHeal(answered(code))).toBe(false);
  });

  it.each(["CERT_HAS_EXPIRED", "26000", "58P01"])(
    "not %s: a certificate, a pooler that does not keep sessions, a lost file of the server",
    (code) => {
      expect(mayHeal(answered(code))).toBe(false);
      expect(mayHeal(new AggregateError([new Error("x"), answered(code)]))).toBe(false);
    },
  );
});
