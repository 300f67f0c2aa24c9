import type { ConfigSchema, ConfigSource, LoadedConfig } from "./config.ts";
import { redactText } from "./redact.ts";

/** One setting as it is in force, for `headroom up` and the first line of a log. Secrets read "[redacted]". */
export interface SettingDescription {
  readonly setting: string;
  /** The environment variable. Not named `env`, which the logger hides. */
  readonly variable: string;
  readonly flag: string | undefined;
  /** "" when an optional setting is not set. */
  readonly value: string;
  readonly source: ConfigSource;
}

/** One option as a command-line parser or a document wants to know it. */
export interface OptionDescription {
  readonly setting: string;
  /** The environment variable. Not named `env`, which the logger hides. */
  readonly variable: string;
  readonly flag: string | undefined;
  readonly help: string;
  readonly placeholder: string;
  readonly allowed: string;
  /** As it is written; null: optional; undefined: required. */
  readonly defaultText: string | null | undefined;
}

/** What is in force and where each value came from. */
export function describeConfig<S extends ConfigSchema>(schema: S, loaded: LoadedConfig<S>): SettingDescription[] {
  return Object.entries(schema).map(([setting, option]) => {
    const value: unknown = loaded.values[setting];
    const text = value === null || value === undefined ? "" : redactText(option.format(value));
    return {
      setting,
      variable: option.env,
      flag: option.flag,
      value: option.secret && text !== "" ? "[redacted]" : text,
      source: loaded.sources[setting] ?? "default",
    };
  });
}

/** The options of a schema, in its order. */
export function describeOptions(schema: ConfigSchema): OptionDescription[] {
  return Object.entries(schema).map(([setting, option]) => ({
    setting,
    variable: option.env,
    flag: option.flag,
    help: option.help,
    placeholder: option.placeholder,
    allowed: option.allowed,
    defaultText: option.secret && typeof option.defaultText === "string" ? "[redacted]" : option.defaultText,
  }));
}

/** Help text: two lines for each option. */
export function configHelp(schema: ConfigSchema): string {
  return describeOptions(schema)
    .map((option) => {
      const flag =
        option.flag === undefined
          ? `${option.variable}=${option.placeholder}`
          : `--${option.flag} ${option.placeholder}`.trimEnd();
      const preset =
        typeof option.defaultText === "string"
          ? `default ${option.defaultText}`
          : option.defaultText === null
            ? "optional"
            : "required";
      return `  ${flag}\n      ${option.help} (${option.variable}; ${option.allowed}; ${preset})`;
    })
    .join("\n");
}
