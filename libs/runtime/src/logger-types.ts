/** From the least to the most severe. */
export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Fields of a record: snake_case; the correlation fields are the same in all processes. */
export interface LogFields {
  readonly plan_id?: string | undefined;
  readonly task_id?: string | undefined;
  readonly attempt_id?: string | undefined;
  readonly agent_id?: string | undefined;
  readonly request_id?: string | undefined;
  /** An error, written with its type, message, code and stack. */
  readonly err?: unknown;
  readonly [field: string]: unknown;
}

export interface LogMethod {
  (fields: LogFields, message: string): void;
  (message: string): void;
}

/** What everything logs to; pino's own logger is one. Logging never throws. */
export interface Logger {
  debug: LogMethod;
  info: LogMethod;
  warn: LogMethod;
  error: LogMethod;
  /** A logger whose every record carries these fields too. */
  child(fields: LogFields): Logger;
  /**
   * Runs `write` at once; the records that are made meanwhile go to the file together when it returns or throws: for the hundreds of
   * records of one batch, one write instead of hundreds. A kill -9 in the middle loses those of this batch.
   */
  together(write: () => void): void;
}
