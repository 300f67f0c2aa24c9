import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { readJsonFile, writeJsonFile } from "@headroom/runtime";

/** The agent's credential, or the request for one that is on its way; 0600 in the agent's folder. */
export interface CredentialFile {
  /** Digest of the join token: the same token again needs no second exchange. The token itself is not kept. */
  readonly joinTokenDigest: string;
  /** Of the exchange: asked again after a lost answer, it gives the same credential. */
  readonly requestId: string;
  /** null: not answered yet. */
  readonly credential: string | null;
}

/** The credential file cannot be used. The message says what to do; show it without a stack. */
export class CredentialFileError extends Error {
  override readonly name = "CredentialFileError";
}

const mode = 0o600;

export function credentialPath(agentDir: string): string {
  return join(agentDir, "credential.json");
}

export function digestOf(joinToken: string): string {
  return createHash("sha256").update(joinToken).digest("base64url");
}

/** null: the agent has not enrolled. Throws CredentialFileError for a file that others can read, or that is damaged. */
export async function readCredentialFile(path: string): Promise<CredentialFile | null> {
  const file = await readJsonFile(path);
  if (file.kind === "missing") return null;
  await refuseOpenFile(path);
  const found = file.kind === "ok" ? parse(file.value) : null;
  if (found !== null) return found;
  throw new CredentialFileError(
    `${path} holds no credential. Delete it, remove the agent with "headroom agents remove ID" ` +
      'and start it once with a new join token: "headroom agent --join TOKEN"',
  );
}

export async function writeCredentialFile(path: string, file: CredentialFile): Promise<void> {
  const { joinTokenDigest, requestId, credential } = file;
  await writeJsonFile(path, { credential, request_id: requestId, join_token_sha256: joinTokenDigest }, { mode });
}

function parse(value: unknown): CredentialFile | null {
  if (typeof value !== "object" || value === null) return null;
  const [credential, requestId, joinTokenDigest]: readonly unknown[] = [
    "credential",
    "request_id",
    "join_token_sha256",
  ].map((name): unknown => Reflect.get(value, name));
  const isWhole = typeof requestId === "string" && typeof joinTokenDigest === "string";
  if (!isWhole || !(credential === null || typeof credential === "string")) return null;
  return { credential, requestId, joinTokenDigest };
}

async function refuseOpenFile(path: string): Promise<void> {
  // Windows has no such bits; there the folder's own rules protect it.
  if (process.platform === "win32") return;
  const bits = (await stat(path)).mode & 0o777;
  if ((bits & 0o077) === 0) return;
  throw new CredentialFileError(
    `${path} can be read by other users of this machine (mode ${bits.toString(8)}), and whoever reads it can speak for this agent; run: chmod 600 ${path}`,
  );
}
