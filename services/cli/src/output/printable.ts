/**
 * Text of a file or a service as a terminal may show it: a control character in it would be a command to the terminal, and stands as its
 * escape instead. Line feeds and tabs stay.
 */
export function printable(text: string): string {
  return text.replaceAll(
    /(?![\n\t])\p{Cc}/gu,
    (character) => `\\x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, "0")}`,
  );
}
