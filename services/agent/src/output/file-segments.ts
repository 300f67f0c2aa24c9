import { open, readFile, readdir, rm, mkdir, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { cutOpenFile, errorCode, type Logger, silentLogger } from "@headroom/runtime";
import type { ChunkSource, OutputStores, SegmentStore, StoredChunk, StoredOutput } from "./segment-store.ts";

// A chunk on the disk: "HO", source, a zero, length (u32), seq (f64), time (f64), then the data. Not fsynced: after a loss of power the
// attempt is reported as AGENT_RESTARTED, and what of its last output is missing was lost with it.
const headerBytes = 24;
const magic = 0x484f;
const sources: readonly ChunkSource[] = ["stdout", "stderr", "headroom"];

/** Stores in files below `spoolDir`, one folder per attempt, one file per segment. */
export function fileOutputStores(spoolDir: string, logger: Pick<Logger, "warn"> = silentLogger): OutputStores {
  const folders: KnownFolders = { names: new Set(), areAll: false };
  return {
    open: (attemptId) => fileSegments(join(spoolDir, attemptId), attemptId, folders),
    async list() {
      try {
        const entries = await readdir(spoolDir, { withFileTypes: true });
        const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
        for (const name of names) folders.names.add(name);
        folders.areAll = true;
        return names;
      } catch (error) {
        folders.areAll = isMissing(error);
        if (!folders.areAll)
          logger.warn(
            { err: error, path: spoolDir },
            "the folder of stored output cannot be read; what an earlier program left in it stays until a later start",
          );
        return [];
      }
    },
  };
}

/** Folders that lie on the disk: a task that wrote nothing has none, and its end need not touch the disk. */
interface KnownFolders {
  readonly names: Set<string>;
  /** What an earlier program left was listed: there are no others. */
  areAll: boolean;
}

function fileSegments(dir: string, attemptId: string, folders: KnownFolders): SegmentStore {
  const files = new Map<number, { readonly handle: FileHandle; sizeBytes: number }>();
  const pathOf = (segment: number): string => join(dir, `${String(segment).padStart(8, "0")}.out`);

  async function fileOf(segment: number): Promise<{ readonly handle: FileHandle; sizeBytes: number }> {
    const known = files.get(segment);
    if (known !== undefined) return known;
    folders.names.add(attemptId);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const handle = await open(pathOf(segment), "a+", 0o600);
    const file = { handle, sizeBytes: (await handle.stat()).size };
    files.set(segment, file);
    return file;
  }

  async function close(): Promise<void> {
    const open = [...files.values()];
    files.clear();
    for (const file of open) await file.handle.close().catch(() => undefined);
  }

  return {
    async load() {
      const names = await readdir(dir).catch((error: unknown) => {
        if (isMissing(error)) return [];
        throw error;
      });
      const segments = names
        .map((name) => Number.parseInt(name, 10))
        .filter((segment) => Number.isSafeInteger(segment));
      const chunks: StoredChunk[] = [];
      const unreadable: StoredOutput["unreadable"][number][] = [];
      for (const segment of segments.sort((one, other) => one - other)) {
        try {
          chunks.push(...parseSegment(await readFile(pathOf(segment)), segment));
        } catch (error) {
          unreadable.push({ segment, error });
        }
      }
      return { chunks, unreadable };
    },
    async append(segment, chunk, data) {
      const file = await fileOf(segment);
      const offset = file.sizeBytes + headerBytes;
      try {
        await file.handle.appendFile(Buffer.concat([headerOf(chunk, data.length), data]));
        file.sizeBytes = offset + data.length;
      } catch (error) {
        // A half-written chunk must not stand before the next one.
        await cutOpenFile(file.handle, pathOf(segment), file.sizeBytes).catch(() => undefined);
        throw error;
      }
      return { ...chunk, segment, offset, length: data.length };
    },
    async read(chunk) {
      const { handle } = await fileOf(chunk.segment);
      const data = Buffer.alloc(chunk.length);
      const { bytesRead } = await handle.read(data, 0, chunk.length, chunk.offset);
      // The file was cut short, or is another one.
      if (bytesRead < chunk.length) throw new Error(`${pathOf(chunk.segment)} ends within what was stored there`);
      return data;
    },
    async removeSegment(segment) {
      const file = files.get(segment);
      files.delete(segment);
      await file?.handle.close().catch(() => undefined);
      await rm(pathOf(segment), { force: true });
    },
    close,
    async remove() {
      await close();
      if (folders.areAll && !folders.names.has(attemptId)) return;
      await rm(dir, { recursive: true, force: true });
      folders.names.delete(attemptId);
    },
  };
}

function isMissing(error: unknown): boolean {
  return errorCode(error) === "ENOENT";
}

function headerOf(chunk: { seq: number; source: ChunkSource; atMs: number }, length: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(magic, 0);
  header.writeUInt8(sources.indexOf(chunk.source), 2);
  header.writeUInt32BE(length, 4);
  header.writeDoubleBE(chunk.seq, 8);
  header.writeDoubleBE(chunk.atMs, 16);
  return header;
}

/** The whole chunks of a segment, up to the first that is torn or damaged. */
function parseSegment(bytes: Buffer, segment: number): readonly StoredChunk[] {
  const chunks: StoredChunk[] = [];
  let at = 0;
  while (at + headerBytes <= bytes.length && bytes.readUInt16BE(at) === magic) {
    const source = sources[bytes.readUInt8(at + 2)];
    const length = bytes.readUInt32BE(at + 4);
    const offset = at + headerBytes;
    if (source === undefined || offset + length > bytes.length) break;
    chunks.push({
      seq: bytes.readDoubleBE(at + 8),
      atMs: bytes.readDoubleBE(at + 16),
      source,
      segment,
      offset,
      length,
    });
    at = offset + length;
  }
  return chunks;
}
