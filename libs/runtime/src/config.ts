import type { Option } from "./config-option.ts";
import { redactText } from "./redact.ts";

/** Setting name to option: one declaration that gives environment variables, flags, defaults, help and validation. */
export type ConfigSchema = Readonly<Record<string, Option<unknown>>>;

/** The values that a schema yields. */
export type ConfigValues<S extends ConfigSchema> = {
  readonly [K in keyof S]: S[K] extends Option<infer T> ? T : never;
};

export type ConfigSource = "flag" | "env" | "default";

export interface ConfigInput {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** By the flag's name in kebab-case, as a command-line parser gives them. Names that the schema does not know are left alone. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

export interface ConfigProblem {
  readonly setting: string;
  readonly env: string;
  readonly flag: string | undefined;
  /** As it was given, passwords hidden; null: it was not given at all, or is secret. */
  readonly given: string | null;
  /** The allowed values in words. */
  readonly allowed: string;
  /** How it is written right. */
  readonly example: string;
  /** One line that names the variable and the flag, the value, the range and the example. */
  readonly message: string;
}

export interface LoadedConfig<S extends ConfigSchema> {
  readonly values: ConfigValues<S>;
  readonly sources: { readonly [K in keyof S]: ConfigSource };
}

export type LoadResult<S extends ConfigSchema> =
  | ({ readonly kind: "ok" } & LoadedConfig<S>)
  | { readonly kind: "invalid"; readonly problems: readonly ConfigProblem[] };

/** One or more settings are wrong. The message has a line for each; show it to the person and exit, without a stack. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[]) {
    const head = problems.length === 1 ? "One setting is wrong:" : `${problems.length} settings are wrong:`;
    super([head, ...problems.map((problem) => `  - ${problem.message}`)].join("\n"));
    this.problems = problems;
  }
}

/** Checks a schema (no name twice, every default valid) and gives it back with its type. Throws TypeError: the program is wrong. */
export function defineConfig<const S extends ConfigSchema>(schema: S): S {
  const seen = new Set<string>();
  for (const [setting, option] of Object.entries(schema)) {
    for (const name of [option.env, ...(option.flag === undefined ? [] : [`--${option.flag}`])]) {
      if (seen.has(name)) throw new TypeError(`${setting}: ${name} is used twice`);
      seen.add(name);
    }
    if (typeof option.defaultText !== "string") continue;
    const parsed = option.parse(option.defaultText);
    if (parsed.kind === "invalid")
      throw new TypeError(`${setting}: its default ${option.defaultText} ${parsed.problem}`);
  }
  return schema;
}

/** Reads every setting: a flag wins over the environment, and that over the default. An empty variable counts as not set. */
export function loadConfig<const S extends ConfigSchema>(schema: S, input: ConfigInput): LoadResult<S> {
  const values: Record<string, unknown> = {};
  const sources: Record<string, ConfigSource> = {};
  const problems: ConfigProblem[] = [];
  for (const [setting, option] of Object.entries(schema)) {
    const outcome = readSetting(setting, option, input);
    if (outcome.kind === "invalid") {
      problems.push(outcome.problem);
    } else {
      values[setting] = outcome.value;
      sources[setting] = outcome.source;
    }
  }
  if (problems.length > 0) return { kind: "invalid", problems };
  // Every key of the schema was read above, each by its own option's parser.
  return { kind: "ok", values: values as ConfigValues<S>, sources: sources as LoadedConfig<S>["sources"] };
}

/** As `loadConfig`; throws ConfigError. */
export function loadConfigOrThrow<const S extends ConfigSchema>(schema: S, input: ConfigInput): LoadedConfig<S> {
  const result = loadConfig(schema, input);
  if (result.kind === "invalid") throw new ConfigError(result.problems);
  return { values: result.values, sources: result.sources };
}

type Reading =
  | { readonly kind: "ok"; readonly value: unknown; readonly source: ConfigSource }
  | { readonly kind: "invalid"; readonly problem: ConfigProblem };

function readSetting(setting: string, option: Option<unknown>, input: ConfigInput): Reading {
  const given = findGiven(option, input);
  if (given === undefined && option.defaultText === null) return { kind: "ok", value: null, source: "default" };
  const text = given?.text ?? option.defaultText;
  if (typeof text !== "string") return { kind: "invalid", problem: missing(setting, option) };
  const parsed = option.parse(text);
  if (parsed.kind === "ok") return { kind: "ok", value: parsed.value, source: given?.source ?? "default" };
  return { kind: "invalid", problem: describeProblem(setting, option, text, parsed.problem, parsed.example) };
}

function findGiven(option: Option<unknown>, input: ConfigInput): { text: string; source: ConfigSource } | undefined {
  const flag = option.flag === undefined ? undefined : input.flags?.[option.flag];
  if (flag !== undefined && flag !== null) return { text: flagText(flag), source: "flag" };
  const variable = input.env[option.env]?.trim();
  return variable === undefined || variable === "" ? undefined : { text: variable, source: "env" };
}

/** Command-line parsers turn 7401 into a number, a bare flag into true and a repeated one into an array. */
function flagText(flag: unknown): string {
  return Array.isArray(flag) ? flag.map(String).join(",") : String(flag).trim();
}

function names(option: Option<unknown>): string {
  return option.flag === undefined ? option.env : `${option.env} (--${option.flag})`;
}

function missing(setting: string, option: Option<unknown>): ConfigProblem {
  const example = `set ${option.env}=${option.placeholder}${option.flag === undefined ? "" : ` or --${option.flag} ${option.placeholder}`}`;
  return {
    setting,
    env: option.env,
    flag: option.flag,
    given: null,
    allowed: option.allowed,
    example,
    message: `${names(option)} is required: ${option.allowed}; ${example}`,
  };
}

function describeProblem(
  setting: string,
  option: Option<unknown>,
  text: string,
  problem: string,
  example: string,
): ConfigProblem {
  const given = option.secret ? null : redactText(text.slice(0, 200));
  const shown = given === null ? "the value given (hidden)" : JSON.stringify(given);
  const range = problem.includes(option.allowed) ? "" : `; allowed: ${option.allowed}`;
  return {
    setting,
    env: option.env,
    flag: option.flag,
    given,
    allowed: option.allowed,
    example,
    message: `${names(option)}: ${shown} ${problem}${range}; ${example}`,
  };
}
