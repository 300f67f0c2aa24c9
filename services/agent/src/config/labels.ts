import type { ConfigProblem } from "@headroom/runtime";
import { agentOptions } from "./options.ts";

type Result =
  | { readonly kind: "ok"; readonly value: Readonly<Record<string, string>> }
  | { readonly kind: "invalid"; readonly problem: ConfigProblem };

// The bounds of Hello.labels in the contract.
const maxKeyLength = 63;
const maxValueLength = 255;
const example = "site=berlin,driver=550";

/** Reads `key=value` items. */
export function parseLabels(items: readonly string[]): Result {
  const labels: Record<string, string> = {};
  for (const item of items) {
    const at = item.indexOf("=");
    const key = item.slice(0, at).trim();
    const value = item.slice(at + 1).trim();
    if (at < 1 || key === "") return wrong(item, "is not KEY=VALUE");
    if (key.length > maxKeyLength) return wrong(item, `has a key of more than ${maxKeyLength} characters`);
    if (value.length > maxValueLength) return wrong(item, `has a value of more than ${maxValueLength} characters`);
    if (Object.hasOwn(labels, key)) return wrong(item, "names a key a second time");
    labels[key] = value;
  }
  return { kind: "ok", value: labels };
}

function wrong(item: string, problem: string): Result {
  const { env, flag } = agentOptions.labels;
  const message = `${env} (--${flag ?? ""}): ${JSON.stringify(item)} ${problem}; write ${example}`;
  return {
    kind: "invalid",
    problem: { setting: "labels", env, flag, given: item, allowed: "KEY=VALUE, with commas between", example, message },
  };
}
