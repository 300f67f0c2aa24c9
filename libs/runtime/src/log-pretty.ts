const alwaysLeftOut = new Set(["time", "level", "service", "msg", "err"]);

/**
 * One JSON record as a short line for people: `15:04:05.123 WARN  registry  message key=value`. An error that was to be expected stands in
 * the line, in its own words; any other has its stack below it.
 */
export function prettyLine(line: string): string {
  const record = parseRecord(line);
  if (record === undefined) return line;
  const time = text(record["time"]).slice(11, 23);
  const fields = Object.entries(record)
    .filter(([key]) => !alwaysLeftOut.has(key))
    .map(([key, value]) => ` ${key}=${text(value)}`);
  const told = expectedWords(record["err"]);
  const message = `${text(record["msg"])}${told === null ? "" : `: ${told}`}`;
  const head = `${time} ${text(record["level"]).toUpperCase().padEnd(5)} ${text(record["service"])}  ${message}${fields.join("")}`;
  return `${printable(head.replaceAll("\n", " "))}\n${told === null ? printable(errorLines(record["err"])) : ""}`;
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

/** Codes of a HeadroomError that mean a fault of a program: there the stack is of use. */
const faults = new Set<unknown>(["INTERNAL", "UNKNOWN", "DATA_LOSS"]);
/** A service that is away, as Node tells it. */
const awayCodes = new Set<unknown>([
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
]);

/** What an error says that needs no stack: one that was written for people, or a service that is away. null: any other. */
function expectedWords(err: unknown): string | null {
  if (typeof err !== "object" || err === null || !("message" in err)) return null;
  const { type, code } = { type: undefined, code: undefined, ...err };
  const isExpected = (type === "HeadroomError" && !faults.has(code)) || awayCodes.has(code);
  if (!isExpected) return null;
  // One that stands for several tries, IPv4 and IPv6, has no words of its own.
  return text(err.message) === "" ? text(code) : text(err.message);
}

/** What stands in a record may come from anywhere; a control character in it would be a command to the terminal. */
function printable(line: string): string {
  return line.replaceAll(/(?![\n\t])\p{Cc}/gu, (character) =>
    JSON.stringify(character)
      .slice(1, -1)
      .replace(/^[^\\]$/, "\uFFFD"),
  );
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
