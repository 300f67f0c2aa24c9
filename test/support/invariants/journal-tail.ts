import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import type { JournalRecord } from "@headroom/agent";

/** Everything that a journal has ever held: it is followed while its agent rewrites it without what is no longer needed. */
export interface JournalTail {
  /** Without what was cut off again: an append that a full disk took in part only. */
  readonly records: readonly JournalRecord[];
  /** Reads what has come. Call it often: of two rewrites in between, the first would not be seen. */
  poll(): void;
  close(): void;
}

export function followJournal(path: string): JournalTail {
  /** Of the files before this one. */
  const before: JournalRecord[] = [];
  let now: readonly JournalRecord[] = [];
  let fd: number | undefined;

  /** The whole file: its end may have been cut off and written anew since the last look. */
  function read(): void {
    if (fd === undefined) return;
    const buffer = Buffer.alloc(fstatSync(fd).size);
    const length = readSync(fd, buffer, 0, buffer.length, 0);
    // A line that is not whole yet is read next time.
    const wholeBytes = buffer.subarray(0, length).lastIndexOf("\n") + 1;
    now = buffer.toString("utf8", 0, wholeBytes).split("\n").flatMap(recordIn);
  }

  function isRewritten(): boolean {
    if (fd === undefined) return true;
    const file = statSync(path, { throwIfNoEntry: false });
    return file !== undefined && file.ino !== fstatSync(fd).ino;
  }

  function close(): void {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
    before.push(...now);
    now = [];
  }

  return {
    get records() {
      return [...before, ...now];
    },
    poll() {
      if (isRewritten()) {
        // What was appended before the rewrite still stands in the old file, which is open here.
        read();
        close();
        if (statSync(path, { throwIfNoEntry: false }) === undefined) return;
        fd = openSync(path, "r");
      }
      read();
    },
    close,
  };
}

/** None: nothing, or what a crash left of a line; nobody was answered on its strength. */
function recordIn(line: string): readonly JournalRecord[] {
  try {
    // Written by the agent, whose own tests hold the format.
    return [JSON.parse(line) as JournalRecord];
  } catch {
    return [];
  }
}
