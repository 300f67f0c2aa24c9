import type { Access } from "./access.ts";

/** Log files: five of at most 5 MB (PostgreSQL rotates, the supervisor deletes the oldest). */
export const maxLogFileMb = 5;
export const maxLogFiles = 5;

/** What we set; PostgreSQL's defaults hold for the rest. Rewritten before every start, so an update can change it. */
export function settingsFile(access: Access, extra: Readonly<Record<string, string>>): string {
  const settings: Record<string, string> = {
    ...reachSettings(access),
    max_connections: "100",

    // Nothing acknowledged is lost, not by a power cut either.
    fsync: "on",
    synchronous_commit: "on",
    full_page_writes: "on",
    // No replica hangs on an embedded server, so its log need not be able to feed one.
    wal_level: "minimal",
    max_wal_senders: "0",

    // A desktop that does other things: a small share of it, and no bursts of background work.
    shared_buffers: "128MB",
    work_mem: "8MB",
    maintenance_work_mem: "64MB",
    max_wal_size: "512MB",
    min_wal_size: "80MB",
    max_parallel_workers_per_gather: "0",
    // Compiling a plan takes longer than any of our queries runs.
    jit: "off",
    // Queues make dead rows fast; a look every 10 s keeps their tables small.
    autovacuum_naptime: "10s",

    timezone: "UTC",
    log_timezone: "UTC",

    logging_collector: "on",
    log_directory: "log",
    log_filename: "postgresql-%Y%m%d-%H%M%S.log",
    log_file_mode: "0600",
    log_rotation_age: "0",
    log_rotation_size: `${maxLogFileMb}MB`,
    log_line_prefix: "%m [%p] %a ",
    log_min_messages: "warning",
    // A statement's text holds its values, and those hold what users gave us.
    log_min_error_statement: "panic",
    log_checkpoints: "off",
    ...extra,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quoted(value)}`);
  return `# Written by Headroom before each start; changes here are lost.\n${lines.join("\n")}\n`;
}

/** As postgresql.conf reads it: backslashes begin what stands for another character. */
function quoted(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

function reachSettings(access: Access): Record<string, string> {
  if (access.kind === "loopback") {
    return { listen_addresses: "127.0.0.1", port: String(access.port), unix_socket_directories: "" };
  }
  return {
    listen_addresses: "",
    port: String(access.port),
    unix_socket_directories: access.dir,
    unix_socket_permissions: "0700",
  };
}
