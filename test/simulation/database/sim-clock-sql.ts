/**
 * What makes a PostgreSQL live by the simulation's clock and seed: functions that stand before PostgreSQL's own in the search path. Times and
 * the seed come by settings of the session.
 */
export const simSchemaSql: readonly string[] = [
  `CREATE SCHEMA IF NOT EXISTS sim`,
  `CREATE SEQUENCE IF NOT EXISTS sim.uuids`,
  // A transaction has one moment, as in PostgreSQL; a statement of it may come later.
  `CREATE OR REPLACE FUNCTION sim.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
     AS $$ SELECT to_timestamp(current_setting('sim.transaction_s')::double precision) $$`,
  `CREATE OR REPLACE FUNCTION sim.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
     AS $$ SELECT to_timestamp(current_setting('sim.statement_s')::double precision) $$`,
  `CREATE OR REPLACE FUNCTION sim.gen_random_uuid() RETURNS uuid LANGUAGE sql VOLATILE
     AS $$ SELECT overlay(overlay(md5(current_setting('sim.seed') || ':' || nextval('sim.uuids')) PLACING '4' FROM 13 FOR 1)
                          PLACING '8' FROM 17 FOR 1)::uuid $$`,
  `CREATE OR REPLACE FUNCTION sim.random() RETURNS double precision LANGUAGE sql VOLATILE
     AS $$ SELECT ('x' || left(md5(current_setting('sim.seed') || ':r' || nextval('sim.uuids')), 8))::bit(32)::bigint
                  / 4294967296.0::double precision $$`,
  // Written with the transaction, and told by the simulation once that has been committed.
  `CREATE UNLOGGED TABLE IF NOT EXISTS sim.notifications (
     seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, channel text NOT NULL, payload text NOT NULL)`,
  `CREATE OR REPLACE FUNCTION sim.pg_notify(channel text, payload text) RETURNS void LANGUAGE sql VOLATILE
     AS $$ INSERT INTO sim.notifications (channel, payload) VALUES (channel, payload) $$`,
];

/** PostgreSQL's own functions come after ours, and after the tables. */
export function simSearchPath(schema: string): string {
  return `sim, "${schema}", pg_catalog`;
}

/** The defaults of columns were bound to PostgreSQL's functions when the tables were made; answers how to bind them anew. */
export const columnDefaultsSql = `
  SELECT format('ALTER TABLE %I.%I ALTER COLUMN %I SET DEFAULT %s', table_schema, table_name, column_name,
                regexp_replace(column_default, '(pg_catalog\\.)?\\m(now|clock_timestamp|gen_random_uuid|random)\\(\\)', 'sim.\\2()', 'g')) AS alter
    FROM information_schema.columns
   WHERE table_schema IN ('registry', 'orchestrator') AND is_generated = 'NEVER'
     AND column_default ~ '\\m(now|clock_timestamp|gen_random_uuid|random)\\(\\)'`;
