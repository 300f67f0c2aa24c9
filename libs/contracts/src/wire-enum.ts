import { invalid, ok, type FromWire } from "./from-wire.ts";

/** One enum, both ways. */
export interface WireEnum<Domain extends string, Wire extends number> {
  readonly toWire: (value: Domain) => Wire;
  /** A number that no value has (UNSPECIFIED too, unless it has a meaning) is invalid, naming the words that are allowed. */
  readonly fromWire: (value: number, field: string) => FromWire<Domain>;
}

/** 0 is UNSPECIFIED; -1 is what ts-proto calls UNRECOGNIZED. */
type Meaningless = 0 | -1;

/** A type error that names the wire values for which a table has no word. */
type CoversAll<Wire extends number, Covered> = [Exclude<Wire, Covered | Meaningless>] extends [never]
  ? unknown
  : { readonly "these wire values have no word": Exclude<Wire, Covered | Meaningless> };

/**
 * A map that is total both ways, which the compiler checks: each domain word has a wire value, and each wire value but
 * UNSPECIFIED a word. Where several words share a wire value, the first one is what is read back.
 */
export function wireEnum<Domain extends string, Wire extends number>() {
  return <const Table extends { readonly [Word in Domain]: Wire }>(
    table: Table & CoversAll<Wire, Table[Domain]>,
    options: { readonly unspecified?: Domain } = {},
  ): WireEnum<Domain, Wire> => {
    // The table's keys are exactly the domain's words: `satisfies` in the type parameter.
    const words = Object.keys(table) as Domain[];
    const wordOf = new Map<number, Domain>();
    for (const word of words) if (!wordOf.has(table[word])) wordOf.set(table[word], word);
    if (options.unspecified !== undefined) wordOf.set(0, options.unspecified);
    return {
      toWire: (word) => table[word],
      fromWire: (value, field) => {
        const word = wordOf.get(value);
        return word === undefined ? invalid(field, notOneOf(value, words)) : ok(word);
      },
    };
  };
}

function notOneOf(value: number, words: readonly string[]): string {
  const what = value === 0 ? "is not given" : `${value} is not known here`;
  return `${what}; use one of ${words.map((word) => word.toLowerCase()).join(", ")}`;
}
