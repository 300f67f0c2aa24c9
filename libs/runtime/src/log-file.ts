import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

export interface RotatingFileOptions {
  /** The current file: ".../registry.log"; the older ones are ".../registry.1.log" (the newest) and so on. */
  readonly file: string;
  /** Bytes per file, above 0. */
  readonly maxFileBytes: number;
  /** Files in all, the current one included, 1 or more. */
  readonly maxFiles: number;
}

/** A sink for lines. Never throws. */
export interface LineSink {
  /** A line with its end, or several whole lines. */
  write(lines: string): void;
}

/**
 * A bounded set of log files, written synchronously: a line that was logged is with the operating system, so a kill -9 loses
 * none of them. On the way to the disk a fault never throws; lines that cannot be written are counted and dropped.
 */
export class RotatingFile implements LineSink {
  readonly #options: RotatingFileOptions;
  #fd: number | undefined;
  #sizeBytes = 0;
  #droppedLines = 0;

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
    try {
      const bytes = Buffer.from(lines);
      if (this.#sizeBytes > 0 && this.#sizeBytes + bytes.length > this.#options.maxFileBytes) this.#rotate();
      // A record larger than a whole file would break the bound.
      if (bytes.length > this.#options.maxFileBytes || this.#fd === undefined) throw new Error("no room");
      this.#writeAll(this.#fd, bytes);
    } catch {
      this.#droppedLines += Math.max(1, lines.split("\n").length - 1);
    }
  }

  /** Idempotent; lines that come later are dropped. */
  close(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  #writeAll(fd: number, bytes: Buffer): void {
    let offset = 0;
    while (offset < bytes.length) {
      const written = writeSync(fd, bytes, offset);
      if (written === 0) throw new Error("nothing was written");
      offset += written;
      this.#sizeBytes += written;
    }
  }

  /** Opens the current file in place of the one that is open; if that fails, the old one stays. */
  #open(): void {
    const { file } = this.#options;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const fd = openSync(file, "a", 0o600);
    this.close();
    this.#fd = fd;
    this.#sizeBytes = fstatSync(fd).size;
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
        ftruncateSync(fd, 0);
        this.#sizeBytes = 0;
        return;
      }
    }
    this.#open();
  }

  /** False when another process has rotated the same log, or somebody removed the file: then it is only opened anew. */
  #isStillOurs(fd: number): boolean {
    const current = statSync(this.#options.file, { throwIfNoEntry: false });
    return current !== undefined && current.ino === fstatSync(fd).ino;
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
