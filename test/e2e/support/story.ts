/** One line of a log. */
export interface LogRecord {
  readonly level: string;
  readonly time: string;
  readonly service: string;
  readonly msg: string;
  readonly plan_id?: string;
  readonly task_id?: string;
  readonly attempt_id?: string;
  readonly agent_id?: string;
}

/** What `grep ID` finds in a log: the records that hold it anywhere. */
export function recordsOf(log: string, id: string): readonly LogRecord[] {
  return (
    log
      .split("\n")
      .filter((line) => line.startsWith("{") && line.includes(id))
      // Our own programs wrote it, and a field that is missing fails the assertion that reads it.
      .map((line) => JSON.parse(line) as LogRecord)
  );
}

/** The steps that no record tells of, in its message or its fields. */
export function missingSteps(records: readonly LogRecord[], steps: readonly RegExp[]): readonly string[] {
  return steps
    .filter((step) => !records.some((record) => step.test(JSON.stringify(record))))
    .map((step) => `${step} is in none of:\n${records.map(({ level, msg }) => `  ${level} ${msg}`).join("\n")}`);
}
