import type { LogFields, Logger, LogLevel } from "@headroom/runtime";

export interface CapturedRecord {
  readonly level: LogLevel;
  readonly message: string;
  /** Those of the record and of the child loggers above it. */
  readonly fields: LogFields;
}

export interface CapturingLogger extends Logger {
  /** Everything logged, by children too, oldest first. */
  readonly records: readonly CapturedRecord[];
  /** Whether some record's message contains the text (or matches), at this level if one is given. */
  has(message: string | RegExp, level?: LogLevel): boolean;
  /** The messages, one a line with its level: for a failing test's output. */
  text(): string;
  clear(): void;
}

/** A logger that keeps what it is told. */
export function captureLogger(): CapturingLogger {
  const records: CapturedRecord[] = [];
  return {
    ...collecting(records, {}),
    records,
    has: (message, level) =>
      records.some(
        (record) =>
          (level === undefined || record.level === level) &&
          (typeof message === "string" ? record.message.includes(message) : message.test(record.message)),
      ),
    text: () => records.map((record) => `${record.level}: ${record.message}`).join("\n"),
    clear: () => void records.splice(0),
  };
}

function collecting(records: CapturedRecord[], inherited: LogFields): Logger {
  const method = (level: LogLevel): Logger["debug"] => {
    return (first: LogFields | string, message?: string): void => {
      const fields = typeof first === "string" ? {} : first;
      records.push({
        level,
        message: typeof first === "string" ? first : (message ?? ""),
        fields: { ...inherited, ...fields },
      });
    };
  };
  return {
    debug: method("debug"),
    info: method("info"),
    warn: method("warn"),
    error: method("error"),
    child: (fields) => collecting(records, { ...inherited, ...fields }),
    together: (write) => write(),
  };
}
