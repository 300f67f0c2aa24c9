import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { systemClock, type Clock } from "./clock.ts";

export interface RotatingFileOptions {
  /** The current file: ".../registry.log"; the older ones are ".../registry.1.log" (the newest) and so on. */
  readonly file: string;
  /** Bytes per file, above 0. */
  readonly maxFileBytes: number;
  /** Files in all, the current one included, 1 or more. */
  readonly maxFiles: number;
  /** The line, with its end, that tells how many lines before it could not be written. Default: they are only counted. */
  readonly tellLost?: (lines: number) => string;
  readonly clock?: Clock;
}

/** Somebody removes the log, or has another program rotate it: what is written until it is noticed is lost, and nobody sees that it is. */
const lookEveryMs = 3_000;
const lineFeed = 10;

/** A sink for lines. Never throws. */
export interface LineSink {
  /** A line with its end, or several whole lines. */
  write(lines: string): void;
}

/**
 * A bounded set of log files, written synchronously: a line that was logged is with the operating system, so a kill -9 loses
 * none of them. On the way to the disk a fault never throws; lines that cannot be written are counted and dropped, and the log says how many as
 * soon as it can.
 */
export class RotatingFile implements LineSink {
  readonly #options: RotatingFileOptions;
  #fd: number | undefined;
  #sizeBytes = 0;
  #droppedLines = 0;
  /** Those of the dropped lines that the log does not tell of yet. */
  #untoldLines = 0;
  /** The file ends in the middle of a line: the next one must not be glued to it. */
  #isTorn = false;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  /** Creates the folder (0700) and the file (0600); throws the system's error when it cannot. */
  constructor(options: RotatingFileOptions) {
    if (!(options.maxFileBytes > 0 && options.maxFiles >= 1))
      throw new RangeError("a log needs room: maxFileMb above 0, maxFiles 1 or more");
    this.#options = options;
    this.#open();
    this.#removeSurplus();
  }

  /** Lines that could not be written: the disk is full, the folder is gone. */
  get droppedLines(): number {
    return this.#droppedLines;
  }

  write(lines: string): void {
    this.#tellLost();
    this.#put(lines);
  }

  #tellLost(): void {
    const { tellLost } = this.#options;
    if (this.#untoldLines === 0 || tellLost === undefined) return;
    if (this.#put(tellLost(this.#untoldLines), false)) this.#untoldLines = 0;
  }

  /** False: not all of it is written. `counts`: what is not is lost. */
  #put(lines: string, counts = true): boolean {
    const bytes = Buffer.from(lines);
    let written = 0;
    try {
      this.#lookAtTimes();
      const sizeBytes = this.#sizeBytes + (this.#isTorn ? 1 : 0);
      if (sizeBytes > 0 && sizeBytes + bytes.length > this.#options.maxFileBytes) this.#rotate();
      // A record larger than a whole file would break the bound.
      if (bytes.length > this.#options.maxFileBytes || this.#fd === undefined) throw new Error("no room");
      if (this.#isTorn) this.#writeSome(this.#fd, Buffer.of(lineFeed), 0);
      while (written < bytes.length) written += this.#writeSome(this.#fd, bytes, written);
      return true;
    } catch {
      if (counts) this.#lost(bytes.subarray(written));
      return false;
    }
  }

  /** What is left of these lines; one that is torn is lost too. */
  #lost(rest: Buffer): void {
    let lines = 0;
    for (let at = rest.indexOf(lineFeed); at !== -1; at = rest.indexOf(lineFeed, at + 1)) lines += 1;
    lines = Math.max(1, lines);
    this.#droppedLines += lines;
    this.#untoldLines += lines;
  }

  /** Idempotent; lines that come later are dropped. */
  close(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** Writes from `offset` as much as the system takes at once; answers how much that was. */
  #writeSome(fd: number, bytes: Buffer, offset: number): number {
    const written = writeSync(fd, bytes, offset);
    if (written === 0) throw new Error("nothing was written");
    this.#sizeBytes += written;
    this.#isTorn = bytes[offset + written - 1] !== lineFeed;
    return written;
  }

  /** Opens the current file in place of the one that is open; if that fails, the old one stays. */
  #open(): void {
    const { file } = this.#options;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    // Read as well: how it ends.
    const fd = openSync(file, "a+", 0o600);
    this.close();
    this.#fd = fd;
    this.#sizeBytes = fstatSync(fd).size;
    this.#isTorn = endsTorn(fd, this.#sizeBytes);
    this.#lookedAtMs = this.#now();
  }

  #now(): number {
    return (this.#options.clock ?? systemClock).monotonic();
  }

  /** Opens the file anew when it is not ours any more. Throws when it cannot. */
  #lookAtTimes(): void {
    const fd = this.#fd;
    if (fd === undefined || this.#now() - this.#lookedAtMs < lookEveryMs) return;
    let isOurs = true;
    try {
      isOurs = this.#isStillOurs(fd);
    } catch {
      // The folder cannot be looked at: the file that is open may well be the one that is read.
    }
    if (!isOurs) return this.#open();
    this.#lookedAtMs = this.#now();
  }

  #rotate(): void {
    const { file, maxFiles } = this.#options;
    const fd = this.#fd;
    if (fd === undefined) return;
    if (this.#isStillOurs(fd)) {
      try {
        if (maxFiles === 1) rmSync(file, { force: true });
        for (let number = maxFiles - 1; number >= 1; number -= 1) {
          const from = number === 1 ? file : this.#numbered(number - 1);
          if (existsSync(from)) renameSync(from, this.#numbered(number));
        }
      } catch {
        // The folder refuses: better to lose the older lines of this file than to grow without a bound.
        // By its name, which was looked at just now: Windows refuses it to a handle that may only append.
        truncateSync(file, 0);
        this.#sizeBytes = 0;
        this.#isTorn = false;
        return;
      }
    }
    this.#open();
  }

  /** False when another process has rotated the same log, or somebody removed the file: then it is only opened anew. */
  #isStillOurs(fd: number): boolean {
    const current = statSync(this.#options.file, { throwIfNoEntry: false });
    const own = fstatSync(fd);
    return current !== undefined && current.ino === own.ino && current.dev === own.dev;
  }

  #numbered(number: number): string {
    const { file } = this.#options;
    return file.endsWith(".log") ? `${file.slice(0, -4)}.${number}.log` : `${file}.${number}`;
  }

  /** Files beyond the bound, left by a run that was allowed more. */
  #removeSurplus(): void {
    const folder = dirname(this.#options.file);
    const stem = basename(this.#options.file).replace(/\.log$/, "");
    for (const name of readdirSync(folder)) {
      const number = Number(
        name.startsWith(`${stem}.`) ? /^\.(\d{1,4})(?:\.log)?$/.exec(name.slice(stem.length))?.[1] : Number.NaN,
      );
      const isOurs = join(folder, name) === this.#numbered(number);
      if (isOurs && number >= this.#options.maxFiles) rmSync(join(folder, name), { force: true });
    }
  }
}

/** An earlier program could not finish its last line. */
function endsTorn(fd: number, sizeBytes: number): boolean {
  const last = Buffer.alloc(1);
  return sizeBytes > 0 && readSync(fd, last, 0, 1, sizeBytes - 1) === 1 && last[0] !== lineFeed;
}
