/** A deliberate bug whose place in the source has moved would not be put in, and only the long run would say so. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { mutations } from "./mutations.mjs";

const root = join(import.meta.dirname, "../..");

describe("the deliberate bugs", () => {
  it.each(mutations.map((mutation) => [mutation.name, mutation] as const))(
    "%s: its text stands exactly once",
    (_, mutation) => {
      const texts = new Map<string, string>();
      for (const { file, from, to } of [mutation, ...[mutation.and ?? []].flat()]) {
        const text = texts.get(file) ?? readFileSync(join(root, file), "utf8");
        expect(text.split(from), `${file}: ${from}`).toHaveLength(2);
        expect(to).not.toBe(from);
        texts.set(
          file,
          text.replace(from, () => to),
        );
      }
    },
  );
});
