import { describe, expect, it } from "vitest";
import { findProgram } from "./find-program.ts";

describe.skipIf(process.platform === "win32")("a program that is not found", () => {
  const sentence = async (path: string): Promise<string> => {
    const found = await findProgram("no-such-program-here", "/", path);
    return found.kind === "missing" ? found.sentence : "found";
  };

  it("names three folders of PATH, and how many more there are", async () => {
    const folders = Array.from({ length: 15 }, (_, index) => `/no/such/${index}`);
    expect(await sentence(folders.join(":"))).toContain(
      "looked in /no/such/0, /no/such/1, /no/such/2 and 12 more. Install it there",
    );
  });

  it("names all of a short PATH, and an empty one", async () => {
    expect(await sentence("/no/a:/no/b:/no/c")).toContain("looked in /no/a, /no/b, /no/c. Install");
    expect(await sentence("")).toContain("PATH is empty");
  });
});
