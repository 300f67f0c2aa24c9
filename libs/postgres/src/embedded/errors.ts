import { type LockOwner, ownerInWords } from "@headroom/runtime";

/** Whatever keeps the embedded PostgreSQL from running. The message says what to do. */
export class EmbeddedPostgresError extends Error {
  override readonly name: string = "EmbeddedPostgresError";
}

/** Another living process runs the PostgreSQL of this data folder. */
export class DataDirInUseError extends EmbeddedPostgresError {
  override readonly name = "DataDirInUseError";
  /** The owner. */
  readonly pid: number;
  readonly dataDir: string;
  constructor(dataDir: string, owner: LockOwner) {
    const { pid, elsewhere } = owner;
    const how = elsewhere === null ? `stop it (kill ${pid})` : "stop Headroom there";
    super(
      `${ownerInWords(owner)} already runs the PostgreSQL of ${dataDir}: ${how}, or choose another folder ` +
        `with HEADROOM_DATA_DIR, or set DATABASE_URL to share one database`,
    );
    this.dataDir = dataDir;
    this.pid = pid;
  }
}

/** There is no PostgreSQL program for this machine among the installed packages. */
export class BinariesMissingError extends EmbeddedPostgresError {
  override readonly name = "BinariesMissingError";
  /** Like `linux-x64`. */
  readonly platform: string;
  constructor(platform: string, reason: string) {
    super(
      `no embedded PostgreSQL for ${platform}: ${reason}. ` +
        `Set DATABASE_URL=postgresql://user:password@host:5432/database to use a PostgreSQL 15 or newer`,
    );
    this.platform = platform;
  }
}

/** The data folder is not one that we can use, and we do not change what we did not make. */
export class DataDirUnusableError extends EmbeddedPostgresError {
  override readonly name = "DataDirUnusableError";
}

/** PostgreSQL could not create its data folder or could not start; the end of its log is in the message. */
export class InitFailedError extends EmbeddedPostgresError {
  override readonly name = "InitFailedError";
  /** The last lines that PostgreSQL wrote. */
  readonly logTail: string;
  constructor(what: string, logTail: string, options?: ErrorOptions) {
    const said = logTail.trim() === "" ? "PostgreSQL said nothing" : `the end of its log:\n${logTail.trim()}`;
    super(`${what}; ${said}`, options);
    this.logTail = logTail;
  }
}
