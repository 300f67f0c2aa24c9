import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import type { JournalRecord } from "@headroom/agent";

/** Everything that a journal has ever held: it is followed while its agent rewrites it without what is no longer needed. */
export interface JournalTail {
  readonly records: readonly JournalRecord[];
  /** Reads what has come. Call it often: of two rewrites in between, the first would not be seen. */
  poll(): void;
  close(): void;
}

export function followJournal(path: string): JournalTail {
  const records: JournalRecord[] = [];
  let fd: number | undefined;
  let offset = 0;

  function readOn(): void {
    if (fd === undefined) return;
    const size = fstatSync(fd).size;
    const buffer = Buffer.alloc(Math.max(0, size - offset));
    const length = readSync(fd, buffer, 0, buffer.length, offset);
    // A line that is not whole yet is read again next time.
    const wholeBytes = buffer.subarray(0, length).lastIndexOf("\n") + 1;
    offset += wholeBytes;
    for (const line of buffer.toString("utf8", 0, wholeBytes).split("\n")) {
      const record = recordIn(line);
      if (record !== null) records.push(record);
    }
  }

  function isRewritten(): boolean {
    if (fd === undefined) return true;
    const now = statSync(path, { throwIfNoEntry: false });
    return now !== undefined && now.ino !== fstatSync(fd).ino;
  }

  function close(): void {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  }

  return {
    records,
    poll() {
      // What was appended before the rewrite still stands in the old file, which is open here.
      readOn();
      if (!isRewritten()) return;
      readOn();
      close();
      if (statSync(path, { throwIfNoEntry: false }) === undefined) return;
      fd = openSync(path, "r");
      offset = 0;
      readOn();
    },
    close,
  };
}

/** Null: nothing, or what a crash left of a line; nobody was answered on its strength. */
function recordIn(line: string): JournalRecord | null {
  try {
    // Written by the agent, whose own tests hold the format.
    return JSON.parse(line) as JournalRecord;
  } catch {
    return null;
  }
}
