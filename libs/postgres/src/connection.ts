/** Where a PostgreSQL is: a `postgresql://` URL, or whatever carries one (the embedded server does). */
export type ConnectionTarget = string | { readonly connectionString: string };

/** The URL of a target. */
export function connectionStringOf(target: ConnectionTarget): string {
  return typeof target === "string" ? target : target.connectionString;
}

/** A target for a log line or a message: host, port and database, never the password. */
export function describeTarget(target: ConnectionTarget): string {
  const text = connectionStringOf(target);
  let url: URL;
  try {
    // WHATWG URLs refuse a user without a host, which is how a Unix socket is written.
    url = new URL(text.replace("@/", "@local/"));
  } catch {
    return "an unreadable connection URL";
  }
  const socket = url.searchParams.get("host");
  const place = socket ?? (url.port === "" ? url.hostname : `${url.hostname}:${url.port}`);
  return `database "${decodeURIComponent(url.pathname.slice(1))}" at ${decodeURIComponent(place)}`;
}

export interface ClientSettings {
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
}

/** What `pg` and knex both take; without the `undefined`s that `pg`'s own type allows and knex's does not. */
export interface ClientConfig {
  readonly connectionString: string;
  readonly application_name: string;
  readonly connectionTimeoutMillis: number;
  readonly keepAlive: boolean;
  readonly keepAliveInitialDelayMillis: number;
  readonly sslnegotiation?: "postgres";
}

/** The settings of one `pg` client; keepalive finds a peer that vanished without a word. */
export function clientConfig(target: ConnectionTarget, settings: ClientSettings): ClientConfig {
  const connectionString = connectionStringOf(target);
  return {
    connectionString,
    // A PGSSLNEGOTIATION=direct in the environment is refused without TLS. In the URL, older psql would not know it.
    ...(/[?&]sslmode=disable(&|$)/.test(connectionString) && { sslnegotiation: "postgres" as const }),
    application_name: settings.applicationName,
    connectionTimeoutMillis: settings.connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  };
}
