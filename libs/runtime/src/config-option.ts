import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** How one text is read: its value, or what is wrong with it and how it is written right. */
export type Parsed<T> =
  | { readonly kind: "ok"; readonly value: T }
  | { readonly kind: "invalid"; readonly problem: string; readonly example: string };

/** What every option states. The default is written as a person would write it in the environment; null makes the option optional. */
export interface OptionSpec<D> {
  /** Environment variable, UPPER_CASE. */
  readonly env: string;
  /** Command-line flag without its dashes, kebab-case; left out: not settable by a flag. */
  readonly flag?: string;
  /** One sentence for the help. */
  readonly help: string;
  /** Without it the option must be given. */
  readonly default?: D;
  /** Never printed, neither in errors nor in descriptions. */
  readonly secret?: boolean;
}

/** One setting: where it comes from, what it accepts, how it reads. Made by the functions of `option`. */
export interface Option<T> {
  readonly env: string;
  readonly flag: string | undefined;
  readonly help: string;
  readonly secret: boolean;
  /** As it would be written; null: optional; undefined: required. */
  readonly defaultText: string | null | undefined;
  /** Stands for the value in the help: N, PATH, ... */
  readonly placeholder: string;
  /** The allowed values in words: "a whole number from 1 to 65535". */
  readonly allowed: string;
  parse(text: string): Parsed<T>;
  /** For descriptions; secrets are hidden by whoever describes. */
  format(value: T): string;
}

export interface HostPort {
  readonly host: string;
  /** 0 to 65535; 0 means: any free port. */
  readonly port: number;
}

/** "127.0.0.1:7401", "[::1]:7401". */
export function formatHostPort(address: HostPort): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/** `T`, and null too when the default is null. */
type WithDefault<T, D> = null extends D ? T | null : T;

interface Kind<T> {
  readonly placeholder: string;
  readonly allowed: string;
  parse(text: string): Parsed<T>;
  format(value: T): string;
}

function make<T, D>(spec: OptionSpec<D>, kind: Kind<T>): Option<WithDefault<T, D>> {
  const made: Option<T> = {
    env: spec.env,
    flag: spec.flag,
    help: spec.help,
    secret: spec.secret ?? false,
    defaultText: spec.default === undefined ? undefined : spec.default === null ? null : String(spec.default),
    ...kind,
  };
  // A null default is never parsed: loadConfig answers it itself, so the parser of T serves T | null as well.
  return made;
}

const decimal = /^[+-]?(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/** A decimal number as written, or NaN for anything else ("", "0x10", "12px", "Infinity"). */
function readNumber(text: string): number {
  return decimal.test(text) ? Number(text) : Number.NaN;
}

const ok = <T>(value: T): Parsed<T> => ({ kind: "ok", value });
const invalid = (problem: string, example: string): Parsed<never> => ({ kind: "invalid", problem, example });

interface Range {
  readonly min: number;
  readonly max: number;
}

function numberKind(range: Range, noun: string, whole: boolean, example: number, scale = 1): Kind<number> {
  const allowed = `${noun} from ${range.min} to ${range.max}`;
  return {
    placeholder: "N",
    allowed,
    parse(text) {
      const value = readNumber(text);
      if (Number.isNaN(value)) return invalid(`is not ${noun}`, `write ${example}`);
      if (whole && !Number.isSafeInteger(value)) return invalid("is not a whole number", `write ${example}`);
      if (value < range.min || value > range.max) return invalid("is out of range", `write ${example}`);
      return ok(scale === 1 ? value : Math.round(value * scale));
    },
    format: (value) => String(value / scale),
  };
}

function fractionKind(): Kind<number> {
  return {
    placeholder: "FRACTION",
    allowed: "a fraction from 0 to 1",
    parse(text) {
      const value = readNumber(text);
      if (value >= 0 && value <= 1) return ok(value);
      // Most who go wrong here meant a percentage, so show them theirs.
      const percent = readNumber(text.replace(/\s*%$/, ""));
      const meant = percent >= 1 && percent <= 100 ? percent : 20;
      return invalid("is not a fraction from 0 to 1", `write ${Number((meant / 100).toPrecision(12))} for ${meant} %`);
    },
    format: String,
  };
}

const yes = new Set(["true", "1", "yes", "on"]);
const no = new Set(["false", "0", "no", "off"]);

const booleanKind: Kind<boolean> = {
  placeholder: "",
  allowed: "true or false",
  parse(text) {
    const word = text.toLowerCase();
    if (yes.has(word)) return ok(true);
    return no.has(word) ? ok(false) : invalid("is neither true nor false", "write true or false");
  },
  format: String,
};

function urlKind(protocols: readonly string[], example: string): Kind<string> {
  return {
    placeholder: "URL",
    allowed: `a URL that begins with ${protocols.map((protocol) => `${protocol}://`).join(" or ")}`,
    parse(text) {
      const protocol = URL.canParse(text) ? new URL(text).protocol.slice(0, -1) : undefined;
      if (protocol === undefined) return invalid("is not a URL", `write ${example}`);
      return protocols.includes(protocol) ? ok(text) : invalid(`begins with ${protocol}:`, `write ${example}`);
    },
    format: String,
  };
}

const hostPortKind: Kind<HostPort> = {
  placeholder: "HOST:PORT",
  allowed: "HOST:PORT with a port from 0 to 65535",
  parse(text) {
    const example = "write 127.0.0.1:7401, or [::1]:7401 for IPv6";
    const match = /^(?:\[([0-9a-f:.%]+)\]|([^\s:[\]/@]+)):(\d{1,5})$/i.exec(text);
    if (match === null) return invalid("is not HOST:PORT", example);
    const port = Number(match[3]);
    if (port > 65_535) return invalid("has a port above 65535", example);
    return ok({ host: match[1] ?? match[2] ?? "", port });
  },
  format: formatHostPort,
};

const pathKind: Kind<string> = {
  placeholder: "PATH",
  allowed: "a path",
  parse(text) {
    if (text.includes("\0")) return invalid("holds a zero byte", "write /var/lib/headroom");
    if (text.trim() === "") return invalid("is empty", "write /var/lib/headroom");
    // A shell expands "~" only where it stands bare, not in --flag=~/x nor in a unit file.
    const expanded = text === "~" || /^~[\\/]/.test(text) ? join(homedir(), text.slice(1)) : text;
    return ok(resolve(expanded));
  },
  format: String,
};

/** What each value of a list must be. */
export interface ListItem {
  /** What is wrong with a value, in words that follow it; null: nothing. */
  fault(item: string): string | null;
  readonly example: string;
}

function listKind(maxItems: number, item?: ListItem): Kind<readonly string[]> {
  return {
    placeholder: "A,B",
    allowed: `at most ${maxItems} values with commas between them`,
    parse(text) {
      const items = text.split(",").map((each) => each.trim());
      const given = items.filter((each) => each !== "");
      if (given.length > maxItems) return invalid(`has ${given.length} values`, "write a,b,c");
      for (const each of given) {
        const fault = item?.fault(each) ?? null;
        if (item !== undefined && fault !== null)
          return invalid(`has ${JSON.stringify(each)} in it, which ${fault}`, item.example);
      }
      return ok(given);
    },
    format: (value) => value.join(","),
  };
}

function choiceKind<T extends string>(choices: readonly T[]): Kind<T> {
  return {
    placeholder: choices.join("|"),
    allowed: `one of ${choices.join(", ")}`,
    parse(text) {
      const choice = choices.find((candidate) => candidate === text.toLowerCase());
      return choice === undefined ? invalid(`is not one of ${choices.join(", ")}`, `write ${choices[0]}`) : ok(choice);
    },
    format: String,
  };
}

function stringKind(maxLength: number): Kind<string> {
  return {
    placeholder: "TEXT",
    allowed: `a text of 1 to ${maxLength} characters`,
    parse(text) {
      if (text === "") return invalid("is empty", "write some text, or leave it out");
      return text.length <= maxLength ? ok(text) : invalid(`has ${text.length} characters`, "write a shorter text");
    },
    format: String,
  };
}

/** The kinds of options. Every one takes the same spec; `default: null` makes the value nullable, no default makes it required. */
export const option = {
  string: <D extends string | null = string>(spec: OptionSpec<D> & { maxLength?: number }) =>
    make<string, D>(spec, stringKind(spec.maxLength ?? 4_096)),

  int: <D extends number | null = number>(spec: OptionSpec<D> & Range) =>
    make<number, D>(spec, numberKind(spec, "a whole number", true, spec.default ?? spec.min)),

  /** A number that need not be whole. */
  number: <D extends number | null = number>(spec: OptionSpec<D> & Range) =>
    make<number, D>(spec, numberKind(spec, "a number", false, spec.default ?? spec.min)),

  /** From 0 to 1, as a number. */
  fraction: <D extends number | null = number>(spec: OptionSpec<D>) => make<number, D>(spec, fractionKind()),

  /** Written (the default and the range too) in seconds, read as whole MILLISECONDS: name the setting `...Ms`. */
  seconds: <D extends number | null = number>(spec: OptionSpec<D> & Range) =>
    make<number, D>(spec, numberKind(spec, "a number of seconds", false, spec.default ?? spec.min, 1_000)),

  boolean: <D extends boolean | null = boolean>(spec: OptionSpec<D>) => make<boolean, D>(spec, booleanKind),

  /** As text; `protocols` without "://". Passwords in it are hidden in descriptions, secret or not. */
  url: <D extends string | null = string>(spec: OptionSpec<D> & { protocols: readonly string[]; example: string }) =>
    make<string, D>(spec, urlKind(spec.protocols, spec.example)),

  hostPort: <D extends string | null = string>(spec: OptionSpec<D>) => make<HostPort, D>(spec, hostPortKind),

  /** Absolute when read; a leading ~/ is the home directory. */
  path: <D extends string | null = string>(spec: OptionSpec<D>) => make<string, D>(spec, pathKind),

  /** Comma-separated; a flag may also be repeated. The default is written with commas too. */
  list: <D extends string | null = string>(spec: OptionSpec<D> & { maxItems?: number; item?: ListItem }) =>
    make<readonly string[], D>(spec, listKind(spec.maxItems ?? 100, spec.item)),

  /** One of a few words, in lower case. */
  oneOf: <const C extends readonly string[], D extends C[number] | null = C[number]>(choices: C, spec: OptionSpec<D>) =>
    make<C[number], D>(spec, choiceKind(choices)),
};
