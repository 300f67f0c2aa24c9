import { randomBytes } from "node:crypto";
import { link, open, readFile, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { errorCode, makeFolders } from "@headroom/runtime";
import { tokenFault, tokenForm } from "./token-form.ts";

/** A token file that cannot be used, and what to do about it. */
export class TokenFileError extends Error {
  override readonly name = "TokenFileError";
}

// 256 bits, so that guessing is out of the question at any rate of tries.
const tokenBytes = 32;

/** The token in a file. Rejects with TokenFileError when it is missing, readable by others, or holds no token. */
export async function readTokenFile(path: string): Promise<string> {
  const text = await readIfThere(path);
  if (text === undefined) {
    throw new TokenFileError(
      `the token file ${path} does not exist; a Headroom service writes it when it starts on this machine`,
    );
  }
  await refuseOpenFile(path);
  const token = text.trim();
  if (tokenFault(token) === null) return token;
  throw new TokenFileError(
    `the token file ${path} holds no token (${tokenForm}); remove it, and the next start writes a new one`,
  );
}

/** Reads the token, writing the file (0600) with a new random one first if there is none. Of several that start at once one writes, and all read the same. */
export async function ensureTokenFile(path: string): Promise<string> {
  if ((await readIfThere(path)) === undefined) await createTokenFile(path);
  return readTokenFile(path);
}

/**
 * The token in the file of a flag, beside a token of the environment that it wins over. None is written: a new token would end every
 * credential that was sealed with the one in the environment. `warning`: they differ; for people.
 */
export async function tokenFileBesideToken(
  path: string,
  passedOver: string,
): Promise<{ readonly token: string; readonly warning: string | null }> {
  if ((await readIfThere(path)) === undefined) {
    throw new TokenFileError(
      `the token file ${path} (--token-file) does not exist, and HEADROOM_TOKEN is set as well: ` +
        `take --token-file away to use HEADROOM_TOKEN, or unset HEADROOM_TOKEN and the next start writes the file`,
    );
  }
  const token = await readTokenFile(path);
  const warning =
    `HEADROOM_TOKEN is another token than the one in ${path} (--token-file): the file's is used, ` +
    `and callers and agents' credentials of the other are refused; take one of the two away`;
  return { token, warning: token === passedOver ? null : warning };
}

async function createTokenFile(path: string): Promise<void> {
  await makeFolders(dirname(path), 0o700);
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(`${randomBytes(tokenBytes).toString("base64url")}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    // Unlike rename, link never replaces: whoever comes second reads what the first wrote.
    await link(temporary, path);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") {
      throw new TokenFileError(
        `the token file ${path} cannot be written: ${describe(error)}; set HEADROOM_DATA_DIR to a folder that can`,
        { cause: error },
      );
    }
  } finally {
    await rm(temporary, { force: true });
  }
}

async function refuseOpenFile(path: string): Promise<void> {
  // Windows has no such bits; there the folder's own rules protect it.
  if (process.platform === "win32") return;
  const mode = (await stat(path)).mode & 0o777;
  if ((mode & 0o077) === 0) return;
  throw new TokenFileError(
    `the token file ${path} can be read by other users of this machine (mode ${mode.toString(8)}); run: chmod 600 ${path}`,
  );
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw new TokenFileError(
      `the token file ${path} cannot be read: ${describe(error)}; name one that you can read with --token-file or HEADROOM_TOKEN_FILE`,
      { cause: error },
    );
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
