import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { PathLooks } from "./find-program.ts";
import type { FolderRemover } from "./folder-remover.ts";
import { errorCode } from "@headroom/runtime";

/** Where a command runs. */
export type WorkFolder =
  | { readonly kind: "ready"; readonly path: string; remove(): Promise<void> }
  | { readonly kind: "failed"; readonly sentence: string; readonly isMachine: boolean };

export interface WorkFolderOptions {
  /** Fresh folders are made below it. */
  readonly freshDir: string;
  /** Removes them. */
  readonly remover: FolderRemover;
  readonly looks: PathLooks;
}

const nothing = (): Promise<void> => Promise.resolve();

/** The folder that was asked for, which must exist; or a fresh one, below `freshDir` and named after the attempt. */
export async function openWorkFolder(
  workingDir: string,
  attemptId: string,
  { freshDir, remover, looks }: WorkFolderOptions,
): Promise<WorkFolder> {
  if (workingDir !== "") return checkGiven(workingDir, attemptId, looks);
  const path = join(freshDir, attemptId);
  await remover.forget(path);
  try {
    // A leftover of the same attempt would be an earlier run of it.
    await remover.removeNow(path);
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const sentence = `the fresh working folder ${path} could not be made: ${messageOf(error)}`;
    return { kind: "failed", sentence, isMachine: true };
  }
  return { kind: "ready", path, remove: () => remover.remove(path) };
}

async function checkGiven(path: string, attemptId: string, looks: PathLooks): Promise<WorkFolder> {
  try {
    if ((await looks.stat(path)).isDirectory()) {
      // A cache may have answered for a drive that is away.
      await looks.askFor(join(path, `.headroom-${attemptId}`)).catch(() => undefined);
      return { kind: "ready", path, remove: nothing };
    }
    const sentence = `the working folder ${JSON.stringify(path)} is not a folder on this agent`;
    return { kind: "failed", sentence, isMachine: false };
  } catch (error) {
    const why =
      errorCode(error) === "ENOENT" ? "does not exist on this agent" : `cannot be entered: ${messageOf(error)}`;
    return {
      kind: "failed",
      sentence: `the working folder ${JSON.stringify(path)} ${why}. Make it there, or leave working_dir empty for a fresh one`,
      isMachine: false,
    };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
