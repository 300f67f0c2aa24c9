import { multistream, pino, type Logger as PinoLogger } from "pino";
import type { Clock } from "./clock.ts";
import { systemClock } from "./clock.ts";
import { RotatingFile, type LineSink } from "./log-file.ts";
import { GatheringSink } from "./log-gather.ts";
import { prettyLine } from "./log-pretty.ts";
import type { LogFields, Logger, LogLevel, LogMethod } from "./logger-types.ts";
import { redactFields, redactText } from "./redact.ts";

export interface LoggerOptions {
  /** The service, as every record names it: "registry", "orchestrator", "agent". */
  readonly name: string;
  /** Records below it are not made. Default "info". */
  readonly level?: LogLevel;
  /** Path of the current log file; none: no file. */
  readonly file?: string;
  /** Size of one file in MiB, above 0. Default 20. */
  readonly maxFileMb?: number;
  /** Files in all, the current one included; the log takes at most maxFileMb × maxFiles. Default 5. */
  readonly maxFiles?: number;
  /** Write to stderr too: true, or the least level for it. Default: only when there is no file. */
  readonly stderr?: boolean | LogLevel;
  /** Short lines for people on stderr in place of JSON. Default false. */
  readonly pretty?: boolean;
  /** Where stderr's lines go; for tests. */
  readonly stderrSink?: LineSink;
  readonly clock?: Clock;
}

/** The logger of a process. */
export interface RootLogger extends Logger {
  /** Records that the file could not take (disk full). */
  droppedLines(): number;
  /** Closes the file. Nothing waits to be written: every record is written as it is logged. */
  close(): void;
}

const defaults = { maxFileMb: 20, maxFiles: 5 } as const;
const bytesPerMib = 1_048_576;

/**
 * A pino logger: one JSON object a line with `level` as a word, `time` in ISO 8601, `service` and `msg`. Tokens, credentials and
 * task environments are hidden wherever they stand. Throws when the log file cannot be opened.
 */
export function createLogger(options: LoggerOptions): RootLogger {
  const { level = "info", name, clock = systemClock } = options;
  const timestamp = timestamps(clock);
  // Made by hand: pino would write it through the file that it is to go into first.
  const tellLost = (lines: number): string =>
    `{"level":"warn"${timestamp()},"service":${JSON.stringify(name)},"lost_lines":${lines},"msg":"this log could not be written for a while: lines before this one are missing"}\n`;
  const file =
    options.file === undefined
      ? undefined
      : new RotatingFile({
          file: options.file,
          maxFileBytes: Math.floor((options.maxFileMb ?? defaults.maxFileMb) * bytesPerMib),
          maxFiles: options.maxFiles ?? defaults.maxFiles,
          tellLost,
          clock,
        });
  const streams: { level: LogLevel; stream: LineSink }[] = [];
  const gathering = file === undefined ? undefined : new GatheringSink(file);
  if (gathering !== undefined) streams.push({ level: "debug", stream: redacting(gathering) });
  const stderr = options.stderr ?? file === undefined;
  if (stderr !== false) {
    const sink = options.stderrSink ?? stderrSink();
    streams.push({
      level: stderr === true ? "debug" : stderr,
      stream: redacting(options.pretty === true ? pretty(sink) : sink),
    });
  }
  const logger = pino(
    {
      level,
      base: { service: name },
      timestamp,
      formatters: { level: (label) => ({ level: label }), log: redactFields },
      // redactFields has spelled errors out already; pino's own serializer would call them all "Object".
      serializers: { err: (err: unknown) => err },
    },
    multistream(streams),
  );
  return {
    ...wrap(logger, (write) => (gathering === undefined ? write() : gathering.together(write))),
    droppedLines: () => file?.droppedLines ?? 0,
    close: () => file?.close(),
  };
}

/** Many records are of one millisecond: its text is made once. */
function timestamps(clock: Clock): () => string {
  let ofMs = Number.NaN;
  let text = "";
  return () => {
    const nowMs = clock.now();
    if (nowMs !== ofMs) {
      text = `,"time":"${new Date(nowMs).toISOString()}"`;
      ofMs = nowMs;
    }
    return text;
  };
}

/** pino's child() bypasses the formatter that redacts, so children are made here. */
function wrap(logger: PinoLogger, together: Logger["together"]): Logger {
  const method = (level: LogLevel): LogMethod => {
    return (fields: LogFields | string, message?: string) => {
      if (typeof fields === "string") logger[level](plain(fields));
      else logger[level](fields, plain(message ?? ""));
    };
  };
  return {
    debug: method("debug"),
    info: method("info"),
    warn: method("warn"),
    error: method("error"),
    child: (fields) => wrap(logger.child(redactFields(fields)), together),
    together,
  };
}

const maxMessageLength = 16_384;

/** pino would read "%s" in a message as a placeholder only if arguments followed; none do. */
function plain(message: string): string {
  return message.length > maxMessageLength ? `${message.slice(0, maxMessageLength)}…` : message;
}

function redacting(sink: LineSink): LineSink {
  return { write: (line) => sink.write(redactText(line)) };
}

function pretty(sink: LineSink): LineSink {
  return { write: (line) => sink.write(prettyLine(line)) };
}

let stderrIsGuarded = false;

/** The process's stderr; once whoever read it is gone (EPIPE), lines to it are dropped and the process lives. */
function stderrSink(): LineSink {
  if (!stderrIsGuarded) process.stderr.on("error", () => undefined);
  stderrIsGuarded = true;
  return {
    write(line) {
      if (process.stderr.writable) process.stderr.write(line);
    },
  };
}

const nothing = (): void => undefined;

/** Says nothing. */
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
  together: (write) => write(),
};
