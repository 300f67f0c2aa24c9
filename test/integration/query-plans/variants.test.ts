import { expect, it } from "vitest";
import { variantsOf } from "./variants.ts";

it("leaves a statement as it is, but for its LIMIT", () => {
  expect(variantsOf("SELECT 1 FROM t WHERE a = $2 AND b = $3 LIMIT $1")).toEqual([
    { label: "as it is", text: "SELECT 1 FROM t WHERE a = $1 AND b = $2 LIMIT 100" },
  ]);
});

it("switches optional conditions off and on, whatever they look like", () => {
  const text =
    "SELECT 1 FROM t WHERE ($1::uuid IS NULL OR a = $1) AND (cardinality($2::text[]) = 0 OR f(b, ($4)) = ANY($2)) AND c = $3 AND ($5::text = '' OR d = $5)";
  expect(variantsOf(text)).toEqual([
    { label: "filters off", text: "SELECT 1 FROM t WHERE TRUE AND TRUE AND c = $1 AND TRUE" },
    {
      label: "filters given",
      text: "SELECT 1 FROM t WHERE (a = $1) AND (f(b, ($4)) = ANY($2)) AND c = $3 AND (d = $5)",
    },
  ]);
});
