/**
 * JSON for a jsonb parameter. PostgreSQL has no zero character in its texts; one that a peer sent in a name becomes U+FFFD
 * here, so that it cannot fail a statement in which the rows of many agents travel.
 */
export function toJson(value: unknown): string {
  const text = JSON.stringify(value);
  // Looking costs little; an even number of backslashes before it belongs to the text.
  return text.includes("\\u0000") ? text.replaceAll(/(?<!\\)((?:\\\\)*)\\u0000/g, "$1\\ufffd") : text;
}
