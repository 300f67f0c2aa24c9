import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { ConfigError, type ConfigProblem, type ConfigSchema, errorCode } from "@headroom/runtime";

/** Settings of a file, by the environment variable that they stand for, as text. */
export interface FileSettings {
  readonly path: string;
  readonly settings: ReadonlyMap<string, string>;
}

const fileNames = ["agent.yaml", "agent.yml", "agent.json"] as const;

/**
 * Reads `agent.yaml` (or `agent.json`) of the agent's folder, if there is one. Names are those of the flags with _ in place of -;
 * lists may be written as lists, labels as a mapping. Throws ConfigError for a name that does not exist.
 */
export async function readConfigFile(agentDir: string, schema: ConfigSchema): Promise<FileSettings> {
  for (const name of fileNames) {
    const path = join(agentDir, name);
    const text = await readIfThere(path);
    if (text !== null) return { path, settings: readSettings(path, text, schema) };
  }
  return { path: join(agentDir, fileNames[0]), settings: new Map() };
}

function readSettings(path: string, text: string, schema: ConfigSchema): ReadonlyMap<string, string> {
  const known = new Map(
    Object.values(schema).flatMap((option): [string, string][] =>
      option.flag === undefined || option.flag === "data-dir" ? [] : [[option.flag.replaceAll("-", "_"), option.env]],
    ),
  );
  const fields = parseFields(path, text);
  const problems: ConfigProblem[] = [];
  const settings = new Map<string, string>();
  for (const [key, value] of Object.entries(fields)) {
    const env = known.get(key);
    if (env === undefined) problems.push(unknownName(path, key, [...known.keys()]));
    else if (value !== null && value !== undefined) settings.set(env, toText(value));
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return settings;
}

function parseFields(path: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = parse(text);
    if (value === null || value === undefined) return {};
    if (typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>;
    throw new Error("it is not a list of settings");
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new ConfigError([problemOf(path, `${path} cannot be read: ${why}; write it as lines of "name: value"`)]);
  }
}

function toText(value: unknown): string {
  if (Array.isArray(value)) return value.map(toText).join(",");
  if (typeof value === "object" && value !== null)
    return Object.entries(value)
      .map(([key, item]) => `${key}=${String(item)}`)
      .join(",");
  return String(value);
}

function unknownName(path: string, key: string, known: readonly string[]): ConfigProblem {
  return problemOf(path, `${path}: there is no setting ${JSON.stringify(key)}; the settings are ${known.join(", ")}`);
}

function problemOf(path: string, message: string): ConfigProblem {
  return { setting: path, env: "", flag: undefined, given: null, allowed: "", example: "pool: gpu-room", message };
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}
