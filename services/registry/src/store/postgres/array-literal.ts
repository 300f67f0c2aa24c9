/**
 * Arrays as PostgreSQL reads them. The driver turns them into text too, value by value and quoting each; a commit of 500
 * rows carries some 7,000 values, of which few need a quote.
 */

type Plain = number | boolean | string;

/** Of numbers, booleans, uuids and words: nothing in them has a meaning for PostgreSQL. */
export function plainArray(values: readonly (Plain | null)[]): string {
  return `{${values.map((value) => value ?? "NULL").join(",")}}`;
}

/** Of any texts. The zero character, which PostgreSQL does not have, becomes U+FFFD. */
export function textArray(values: readonly (string | null)[]): string {
  return `{${values.map((value) => (value === null ? "NULL" : quoted(value))).join(",")}}`;
}

function quoted(text: string): string {
  return `"${text.replaceAll("\0", "\ufffd").replaceAll(/["\\]/g, "\\$&")}"`;
}
