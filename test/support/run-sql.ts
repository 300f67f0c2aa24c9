/** Plain SQL with `$1` parameters; the caller names the columns and so the row type. */
export type RunSql = <Row extends object = Record<string, unknown>>(
  text: string,
  values?: readonly unknown[],
) => Promise<Row[]>;
