import type { Readable } from "node:stream";
import type { Ports } from "@headroom/runtime";

/** One of the two ways out of a command. */
export interface Output {
  /** Text, or bytes as they are. */
  write(data: string | Uint8Array): void;
  /** Resolves when the reader has taken so much that more may be written, or when the signal aborts: for what writes without an end. */
  room(signal?: AbortSignal): Promise<void>;
  readonly isTTY: boolean;
  /** Width of the terminal; null when it is none. */
  columns(): number | null;
  /** Height of the terminal; null when it is none. */
  rows(): number | null;
}

/** What a command sees of the world. */
export interface CliIo {
  /** Data. */
  readonly stdout: Output;
  /** Messages, progress and errors. */
  readonly stderr: Output;
  readonly stdin: Readable;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly ports: Ports;
  /** Aborts at the first SIGINT or SIGTERM once somebody listens; until then a signal ends the process as always. Its echo changes nothing. */
  interrupted(): AbortSignal;
  /** From now on a reader of stdout or stderr that goes away ends nothing; what is written to it is lost. */
  outliveReaders(): void;
}
