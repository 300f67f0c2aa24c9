const alwaysLeftOut = new Set(["time", "level", "service", "msg", "err"]);

/** One JSON record as a short line for people: `15:04:05.123 WARN  registry  message key=value`, an error's stack below it. */
export function prettyLine(line: string): string {
  const record = parseRecord(line);
  if (record === undefined) return line;
  const time = text(record["time"]).slice(11, 23);
  const fields = Object.entries(record)
    .filter(([key]) => !alwaysLeftOut.has(key))
    .map(([key, value]) => ` ${key}=${text(value)}`);
  const head = `${time} ${text(record["level"]).toUpperCase().padEnd(5)} ${text(record["service"])}  ${text(record["msg"])}${fields.join("")}`;
  return `${head}\n${errorLines(record["err"])}`;
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    // pino writes objects only; anything else is passed on as it came.
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function errorLines(err: unknown): string {
  if (err === undefined) return "";
  const stack = typeof err === "object" && err !== null && "stack" in err ? text(err.stack) : text(err);
  return stack.replace(/^/gm, "    ") + "\n";
}

function text(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined ? "" : JSON.stringify(value);
}
