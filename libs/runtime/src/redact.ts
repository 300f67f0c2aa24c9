const hidden = "[redacted]";

// "env" holds a task's environment and with it the user's own secrets.
const secretKeys = new Set([
  "authorization",
  "token",
  "env",
  "password",
  "secret",
  "credential",
  "credentials",
  "cookie",
  "private_key",
]);
const secretEndings = /_(token|password|secret|credential|key_pem)$/;

const limits = { depth: 6, items: 100, textLength: 16_384 } as const;

/** Names that have been judged; a program logs the same fields over and over. */
const judged = new Map<string, boolean>();
const maxJudged = 1_000;

/** Whether a field of this name is never logged: authorization, token, env, password and the like, in any spelling of case. */
function isSecretKey(key: string): boolean {
  const known = judged.get(key);
  if (known !== undefined) return known;
  const isSecret = judgeKey(key);
  // Keys may come from data, a task's labels for one: those do not pile up.
  if (judged.size < maxJudged) judged.set(key, isSecret);
  return isSecret;
}

function judgeKey(key: string): boolean {
  const name = key
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .replaceAll("-", "_")
    .toLowerCase();
  return secretKeys.has(name) || secretEndings.test(name);
}

/**
 * The text may be a line of JSON, in which a quote or backslash of the token has a backslash before it, and which must stay JSON. What our
 * own way out says for a shell, `Bearer $(cat FILE)`, is no token.
 */
const shownToken = /(bearer )(?!\$\()(?:[^\s"\\]|\\[^\snrt])+/gi;

const worded = /bearer |password=/i;

/** Hides the passwords of URLs and connection strings and the tokens of Authorization headers that stand inside a text. */
export function redactText(text: string): string {
  // Of nearly all texts one look is enough.
  if (!text.includes("://") && !worded.test(text)) return text;
  let safe = text;
  // To the last "@": a password may hold one too. Rather hide too much than too little.
  // A scheme has a bound, so that a long row of letters is not tried from each of them.
  if (safe.includes("://")) safe = safe.replace(/([a-z][a-z0-9+.-]{0,31}:\/\/[^\s:@/"]*:)[^\s"]+@/gi, `$1${hidden}@`);
  if (/bearer /i.test(safe)) safe = safe.replace(shownToken, `$1${hidden}`);
  if (/password=/i.test(safe)) safe = safe.replace(/(password=)[^\s&"]+/gi, `$1${hidden}`);
  return safe;
}

/** A copy that is safe to log: secret fields hidden at any depth, errors spelled out, everything bounded in depth, number and length. */
export function redactFields(fields: object): Record<string, unknown> {
  try {
    return copyObject(fields, 0, new Set([fields]));
  } catch (error) {
    // A getter threw. Whoever logs must not fall over it.
    return { unloggable: String(error) };
  }
}

function copyObject(source: object, depth: number, path: Set<object>): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  let count = 0;
  for (const [key, value] of Object.entries(source)) {
    if (++count > limits.items) {
      copy["more"] = "[left out]";
      break;
    }
    copy[key] = isSecretKey(key) && value !== undefined && value !== null ? hidden : copyValue(value, depth + 1, path);
  }
  return copy;
}

function copyValue(value: unknown, depth: number, path: Set<object>): unknown {
  switch (typeof value) {
    case "string":
      return shorten(value);
    case "bigint":
    case "symbol":
      return String(value);
    case "function":
      return "[function]";
    case "object":
      return value === null ? null : copyReference(value, depth, path);
    case "number":
      // JSON would write null for these, which hides exactly what one is looking for.
      return Number.isFinite(value) ? value : String(value);
    case "boolean":
    case "undefined":
  }
  return value;
}

function shorten(text: string): string {
  return text.length > limits.textLength ? `${text.slice(0, limits.textLength)}… (${text.length} characters)` : text;
}

function copyReference(value: object, depth: number, path: Set<object>): unknown {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "invalid date" : value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (path.has(value)) return "[circular]";
  if (depth > limits.depth) return "[too deep]";
  path.add(value);
  try {
    if (value instanceof Error) return copyError(value, depth, path);
    if (Array.isArray(value)) return copyItems(value, depth, path);
    if (value instanceof Map) return copyObject(Object.fromEntries(value), depth, path);
    if (value instanceof Set) return copyItems([...value], depth, path);
    return copyObject(value, depth, path);
  } finally {
    path.delete(value);
  }
}

function copyItems(items: readonly unknown[], depth: number, path: Set<object>): unknown[] {
  const copies = items.slice(0, limits.items).map((item) => copyValue(item, depth + 1, path));
  if (items.length > limits.items) copies.push(`[${items.length - limits.items} more]`);
  return copies;
}

/** What PostgreSQL adds to an error may quote the row: a task's command, its environment. The code and the message say what was wrong. */
const quotesData = new Set(["where", "detail", "internalQuery", "query", "parameters", "bindings"]);

function copyError(error: Error, depth: number, path: Set<object>): Record<string, unknown> {
  const own = Object.fromEntries(Object.entries(error).filter(([key]) => !quotesData.has(key)));
  return {
    type: error.name,
    message: shorten(error.message),
    stack: shorten(error.stack ?? ""),
    ...(error.cause === undefined ? {} : { cause: copyValue(error.cause, depth + 1, path) }),
    ...(error instanceof AggregateError ? { errors: copyItems(error.errors, depth, path) } : {}),
    ...copyObject(own, depth, path),
  };
}
