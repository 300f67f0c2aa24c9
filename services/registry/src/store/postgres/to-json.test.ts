import { describe, expect, it } from "vitest";
import { toJson } from "./to-json.ts";

describe("toJson", () => {
  it.each([
    ["a\0b", "a\ufffdb"],
    ["\0\0", "\ufffd\ufffd"],
    ["\\\0", "\\\ufffd"],
    ["\\u0000", "\\u0000"],
    ["plain", "plain"],
  ])("%j becomes %j", (text, expected) => {
    expect(JSON.parse(toJson({ [text]: [text] }))).toEqual({ [expected]: [expected] });
  });
});
