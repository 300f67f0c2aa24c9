import { randomBytes } from "node:crypto";
import { chmod, open, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { cutOpenFile } from "./cut-open-file.ts";
import { nextTurn } from "./next-turn.ts";
import { makeFolders } from "./make-folders.ts";

export interface WriteFileOptions {
  /** Permissions of the file, whatever it had before. Default 0600. */
  readonly mode?: number;
  /** Whether it must survive a loss of power from the moment this resolves. Default true. */
  readonly fsync?: boolean;
  /** Whom it is to belong to; only root can give a file away. Default: whoever writes it. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/** Replaces a file as a whole: a reader, and whoever looks after a crash, sees the old content or the new, never a mixture. */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: WriteFileOptions = {},
): Promise<void> {
  const { mode = 0o600, fsync = true, owner } = options;
  // In the same folder: a rename is atomic only within one file system.
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx", mode);
    try {
      await file.writeFile(data);
      // The umask may have taken bits away that were asked for.
      await file.chmod(mode);
      if (owner !== undefined) await file.chown(owner.uid, owner.gid);
      if (fsync) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  if (fsync) await syncFolder(dirname(path));
}

/** Makes a rename or a new file durable. Windows cannot open folders, and does not need it. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Creates a folder and those above it, if they are missing. One that it makes gets exactly `mode` (default 0700), whatever the umask; one
 * that is there keeps what its owner gave it, so what must be private is so by the mode of each file.
 */
export async function ensureDir(path: string, mode = 0o700): Promise<void> {
  const isNew = await makeFolders(path, mode);
  if (!isNew || process.platform === "win32") return;
  const present = (await stat(path)).mode & 0o777;
  if (present !== mode) await chmod(path, mode);
}

/** A file that is only appended to, such as the agent's journal. */
export interface DurableLog {
  /**
   * Resolves when the text is where it is to be: on the `disk` (the default), or with the operating `system`, where it outlives this
   * program, though not a loss of power. Appends made meanwhile share one write and, where one of them needs it, one fsync, in order.
   */
  append(text: string, where?: "disk" | "system"): Promise<void>;
  /** Idempotent; waits for what was appended before. */
  close(): Promise<void>;
}

interface PendingAppend {
  readonly text: string;
  readonly where: "disk" | "system";
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Opens a log for durable appends, creating it (0600); no room is needed for that. A torn last line, left by a loss of power, is
 * ended with the first append, so that it never runs into the next record. A write that fails is undone (the file is cut back), and its append rejects.
 */
export async function openDurableLog(path: string, options: Pick<WriteFileOptions, "mode"> = {}): Promise<DurableLog> {
  const file = await open(path, "a+", options.mode ?? 0o600);
  let sizeBytes: number;
  let isTorn: boolean;
  try {
    sizeBytes = (await file.stat()).size;
    isTorn = await endsTorn(file, sizeBytes);
    await file.sync();
    await syncFolder(dirname(path));
  } catch (error) {
    await file.close();
    throw error;
  }
  let pending: PendingAppend[] = [];
  let flushing: Promise<void> | undefined;
  let closed: Promise<void> | undefined;
  /** A failed append could not be cut off again: nothing is appended behind it. Tried anew with each append. */
  let isUncut = false;

  async function cutBack(): Promise<void> {
    try {
      await cutOpenFile(file, path, sizeBytes);
      isUncut = false;
    } catch (cause) {
      isUncut = true;
      throw new Error(`${path} cannot be trusted: a failed append could not be undone`, { cause });
    }
  }

  async function writeBatch(batch: readonly PendingAppend[]): Promise<void> {
    const bytes = Buffer.from((isTorn ? "\n" : "") + batch.map((append) => append.text).join(""));
    try {
      if (isUncut) await cutBack();
      await file.appendFile(bytes);
      if (batch.some(({ where }) => where === "disk")) await file.datasync();
      sizeBytes += bytes.length;
      isTorn = false;
      for (const append of batch) append.resolve();
    } catch (error) {
      // What was refused must not be read back later as accepted.
      if (!isUncut) await cutBack().catch(() => undefined);
      for (const append of batch) append.reject(error);
    }
  }

  async function flush(): Promise<void> {
    while (pending.length > 0) {
      // Whatever is appended in the same turn goes along.
      await nextTurn();
      const batch = pending;
      pending = [];
      await writeBatch(batch);
    }
    flushing = undefined;
  }

  return {
    append(text, where = "disk") {
      if (closed !== undefined) return Promise.reject(new Error(`${path} is closed`));
      return new Promise<void>((resolve, reject) => {
        pending.push({ text, where, resolve, reject });
        flushing ??= flush();
      });
    },
    close() {
      closed ??= (flushing ?? Promise.resolve()).then(() => file.close());
      return closed;
    },
  };
}

/** Whether the last line has no end. */
async function endsTorn(file: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  await file.read(last, 0, 1, size - 1);
  return last.toString("latin1") !== "\n";
}

/** One durable append to a file that is not kept open. */
export async function appendDurable(
  path: string,
  text: string,
  options: Pick<WriteFileOptions, "mode"> = {},
): Promise<void> {
  const log = await openDurableLog(path, options);
  try {
    await log.append(text);
  } finally {
    await log.close();
  }
}
