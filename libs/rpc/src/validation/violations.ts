import {
  isReflectList,
  isReflectMap,
  isReflectMessage,
  pathToString,
  type Path,
  type ReflectMessage,
} from "@bufbuild/protobuf/reflect";
import type { Violation } from "@bufbuild/protovalidate";
import type { FieldViolation } from "../errors.ts";

// Longer values are not repeated to the caller: they know what they sent, and logs stay small.
const maxValueChars = 64;
const secretName = /token|credential|secret|password|env$/;

/** What protovalidate found, one entry a field, in the words of the .proto: `plan.tasks[3].name`. */
export function describeViolations(message: ReflectMessage, violations: readonly Violation[]): FieldViolation[] {
  const byField = new Map<string, { problems: string[]; value: string }>();
  for (const violation of violations) {
    const field = pathToString(violation.field);
    const known = byField.get(field) ?? {
      problems: [],
      value: violation.forKey ? "" : describeValue(message, violation.field),
    };
    known.problems.push(violation.forKey ? `its key ${violation.message}` : violation.message);
    byField.set(field, known);
  }
  return [...byField].map(([field, { problems, value }]) => ({
    field,
    description: `${problems.join(" and ")}${value}`,
  }));
}

/** `, not "zz"` for a short scalar, else nothing. */
function describeValue(message: ReflectMessage, path: Path): string {
  const last = path.findLast((element) => element.kind === "field");
  if (last === undefined || secretName.test(last.name)) return "";
  const value = valueAt(message, path);
  if (typeof value === "string") return value.length <= maxValueChars ? `, not ${JSON.stringify(value)}` : "";
  return typeof value === "number" || typeof value === "bigint" ? `, not ${value}` : "";
}

function valueAt(message: ReflectMessage, path: Path): unknown {
  let value: unknown = message;
  for (const element of path) {
    if (element.kind === "field" && isReflectMessage(value)) value = value.get(element);
    else if (element.kind === "list_sub" && isReflectList(value)) value = value.get(element.index);
    else if (element.kind === "map_sub" && isReflectMap(value)) value = value.get(element.key);
    else return undefined;
  }
  return value;
}
