import { readFile } from "node:fs/promises";
import { writeFileAtomic, type WriteFileOptions } from "./atomic-file.ts";
import { errorCode } from "./error-code.ts";

export type JsonFile =
  | { readonly kind: "ok"; readonly value: unknown }
  | { readonly kind: "missing" }
  | { readonly kind: "corrupt"; readonly error: Error };

export interface JsonLines {
  /** In the file's order; check each before use. */
  readonly values: readonly unknown[];
  /** Lines that are no JSON: torn by a loss of power, or damaged. */
  readonly badLines: number;
}

/** A whole file of JSON. A file that cannot be read for another reason (permissions) rejects. */
export async function readJsonFile(path: string): Promise<JsonFile> {
  const text = await readIfThere(path);
  if (text === undefined) return { kind: "missing" };
  try {
    return { kind: "ok", value: JSON.parse(text) as unknown };
  } catch (error) {
    return {
      kind: "corrupt",
      error: new Error(`${path} is not JSON: ${(error as SyntaxError).message}`, { cause: error }),
    };
  }
}

/** Replaces a file by the JSON of `value`, indented, atomically. */
export async function writeJsonFile(path: string, value: unknown, options?: WriteFileOptions): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`, options);
}

/** A journal of one JSON value a line; a file that is missing is empty. */
export async function readJsonLines(path: string): Promise<JsonLines> {
  const text = (await readIfThere(path)) ?? "";
  const values: unknown[] = [];
  let badLines = 0;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    try {
      values.push(JSON.parse(line));
    } catch {
      badLines += 1;
    }
  }
  return { values, badLines };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
