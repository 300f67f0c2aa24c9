/** Enums in JSON and query parameters: in lower case and without their prefix (`online`), as people type them. */
import type { DescEnum } from "@bufbuild/protobuf";

interface EnumWords {
  readonly wordOfName: ReadonlyMap<string, string>;
  /** By word and by full name, both in lower case. */
  readonly numberOf: ReadonlyMap<string, number>;
  readonly words: readonly string[];
}

const cache = new WeakMap<DescEnum, EnumWords>();

function wordsOf(type: DescEnum): EnumWords {
  const known = cache.get(type);
  if (known !== undefined) return known;
  const wordOfName = new Map<string, string>();
  const numberOf = new Map<string, number>();
  for (const { name, number } of type.values) {
    const lower = name.toLowerCase();
    const { sharedPrefix } = type;
    const word =
      sharedPrefix !== undefined && lower.startsWith(sharedPrefix) ? lower.slice(sharedPrefix.length) : lower;
    wordOfName.set(name, word);
    numberOf.set(word, number).set(lower, number);
  }
  const made = { wordOfName, numberOf, words: [...wordOfName.values()] };
  cache.set(type, made);
  return made;
}

/** All words of an enum, in the order of the .proto, `unspecified` among them. */
export function enumWords(type: DescEnum): readonly string[] {
  return wordsOf(type).words;
}

/** `AGENT_STATUS_ONLINE` to `online`; undefined for a name that the enum has not. */
export function enumWordOfName(type: DescEnum, name: string): string | undefined {
  return wordsOf(type).wordOfName.get(name);
}

/** The number of `online` or `AGENT_STATUS_ONLINE`, letter case aside; undefined for any other text. */
export function enumNumberOf(type: DescEnum, text: string): number | undefined {
  return wordsOf(type).numberOf.get(text.toLowerCase());
}
