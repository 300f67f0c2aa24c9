/**
 * The forms in which a statement really runs. A condition such as `($1::uuid IS NULL OR plan_id = $1)` is switched off by some calls and
 * given by others, and PostgreSQL plans each for what it was given; a LIMIT is small, where a plan for any value takes a tenth of
 * the table.
 */
export interface Variant {
  readonly label: "as it is" | "filters off" | "filters given";
  readonly text: string;
}

const optional = /\(\s*(?:\$\d+(?:::[a-z ]+(?:\[\])?)? IS NULL|\$\d+::text = ''|cardinality\(\$\d+::\w+\[\]\) = 0) OR /;

export function variantsOf(statement: string): readonly Variant[] {
  const text = statement.replaceAll(/LIMIT \$\d+/g, "LIMIT 100");
  if (!optional.test(text)) return [{ label: "as it is", text: renumbered(text) }];
  return [
    { label: "filters off", text: renumbered(rewritten(text, () => "TRUE")) },
    { label: "filters given", text: renumbered(rewritten(text, (condition) => `(${condition})`)) },
  ];
}

/** Each optional condition as `replace` makes it of the part behind its OR. */
function rewritten(text: string, replace: (condition: string) => string): string {
  const found = optional.exec(text);
  if (found === null) return text;
  const begin = found.index;
  const end = closingBracket(text, begin);
  const condition = text.slice(begin + found[0].length, end);
  return text.slice(0, begin) + replace(condition) + rewritten(text.slice(end + 1), replace);
}

function closingBracket(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at += 1) {
    if (text[at] === "(") depth += 1;
    if (text[at] === ")") depth -= 1;
    if (depth === 0) return at;
  }
  throw new Error(`no bracket closes the one at ${open} of: ${text}`);
}

/** Parameters from $1 on without a gap: of one that is missing PostgreSQL cannot know the type. */
function renumbered(text: string): string {
  const numbers = [...new Set([...text.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number)))].sort(
    (a, b) => a - b,
  );
  return text.replaceAll(/\$(\d+)/g, (_, number) => `$${numbers.indexOf(Number(number)) + 1}`);
}
