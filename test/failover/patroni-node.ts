import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, member, type Member } from "./member.ts";
import type { Programs } from "./programs.ts";

/** How long the leader key of a dead primary keeps the others from taking over. */
const leaderTtlSeconds = 8;

export interface NodePorts {
  readonly postgres: number;
  readonly rest: number;
}

export interface NodeOptions {
  readonly programs: Programs;
  readonly folder: string;
  readonly name: string;
  readonly ports: NodePorts;
  readonly etcdPort: number;
  readonly password: string;
}

/** One PostgreSQL and the Patroni that looks after it. */
export interface PatroniNode extends Member {
  readonly ports: NodePorts;
  readonly configFile: string;
  /** Of PostgreSQL, as its data folder says; null: it does not run. Its other processes follow it when it is killed. */
  postmasterPid(): number | null;
  /** Ends it and starts it without data, which it takes from the primary then. */
  rebuild(): Promise<void>;
}

export const scope = "headroom";

export function patroniNode(options: NodeOptions): PatroniNode {
  const { programs, name, ports } = options;
  const folder = makeFolder(join(options.folder, name));
  const dataDir = join(folder, "data");
  const configFile = join(folder, "patroni.yml");
  // JSON is YAML.
  writeFileSync(configFile, JSON.stringify(configuration(options, folder, dataDir), null, 2));
  const machine = member(name, { argv: [programs.patroni, configFile], folder });
  return {
    ...machine,
    ports,
    configFile,
    postmasterPid() {
      try {
        return Number(readFileSync(join(dataDir, "postmaster.pid"), "utf8").split("\n")[0]);
      } catch {
        return null;
      }
    },
    async rebuild() {
      await machine.kill9();
      rmSync(dataDir, { recursive: true, force: true });
      machine.start();
    },
  };
}

function configuration(
  { programs, name, ports, etcdPort, password }: NodeOptions,
  folder: string,
  dataDir: string,
): Record<string, unknown> {
  const rest = `127.0.0.1:${ports.rest}`;
  const postgres = `127.0.0.1:${ports.postgres}`;
  return {
    scope,
    name,
    restapi: { listen: rest, connect_address: rest },
    etcd3: { hosts: [`127.0.0.1:${etcdPort}`] },
    bootstrap: {
      dcs: {
        ttl: leaderTtlSeconds,
        loop_wait: 1,
        retry_timeout: 3,
        // Nothing is answered as committed before a standby has it on its disk, and never by a primary alone.
        synchronous_mode: true,
        synchronous_mode_strict: true,
        postgresql: {
          use_pg_rewind: true,
          use_slots: true,
          parameters: {
            max_connections: 80,
            shared_buffers: "32MB",
            wal_keep_size: "128MB",
            wal_log_hints: "on",
            wal_sender_timeout: "5s",
            wal_receiver_timeout: "5s",
            password_encryption: "scram-sha-256",
          },
        },
      },
      initdb: [{ encoding: "UTF8" }, { locale: "C.UTF-8" }, "data-checksums"],
      pg_hba: ["host replication replicator 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256"],
    },
    postgresql: {
      listen: postgres,
      connect_address: postgres,
      data_dir: dataDir,
      bin_dir: programs.postgresBin,
      pgpass: join(folder, "pgpass"),
      // Otherwise a new standby waits for a checkpoint that takes its time.
      basebackup: [{ checkpoint: "fast" }],
      parameters: { unix_socket_directories: folder },
      authentication: {
        superuser: { username: "postgres", password },
        replication: { username: "replicator", password },
      },
      // A data folder that cannot be taken back to where the others are is made anew.
      remove_data_directory_on_rewind_failure: true,
      remove_data_directory_on_diverged_timelines: true,
    },
    watchdog: { mode: "off" },
  };
}
