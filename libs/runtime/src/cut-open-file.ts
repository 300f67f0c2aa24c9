import { open, type FileHandle } from "node:fs/promises";
import { errorCode } from "./error-code.ts";

/**
 * Cuts a file that is open for appending, and lies at `path`. Windows refuses that (EPERM) to a handle that may only append; there the file is
 * opened once more. If the name is another file's by now, nothing is cut, and the refusal stands.
 */
export async function cutOpenFile(file: FileHandle, path: string, sizeBytes: number): Promise<void> {
  try {
    await file.truncate(sizeBytes);
  } catch (refusal) {
    if (errorCode(refusal) !== "EPERM") throw refusal;
    const again = await open(path, "r+");
    try {
      if (!(await areOneFile(file, again))) throw refusal;
      await again.truncate(sizeBytes);
    } finally {
      await again.close();
    }
  }
}

async function areOneFile(one: FileHandle, other: FileHandle): Promise<boolean> {
  const [here, there] = await Promise.all([one.stat({ bigint: true }), other.stat({ bigint: true })]);
  return here.dev === there.dev && here.ino === there.ino;
}
