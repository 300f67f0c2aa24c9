import type { NetConnectOpts } from "node:net";
import type { Endpoint, Ways } from "../e2e/support/ways.ts";
import { type FaultyLink, openFaultyLink, Road } from "./faulty-link.ts";

export const database = "postgres";

/** Every way between two processes of a cluster, each through a link of ours that can be broken. */
export interface FaultyNetwork extends Ways {
  readonly roads: readonly Road[];
  /** Those that lead to or from this process. */
  roadsOf(name: string): readonly Road[];
  /** All is as good as new; what was forgotten stays so. */
  mend(): void;
  close(): Promise<void>;
}

export function createFaultyNetwork(): FaultyNetwork {
  const links: FaultyLink[] = [];
  const roads = (): readonly Road[] => links.flatMap((link) => link.roads);

  async function open(caller: string, targets: readonly { name: string; to: NetConnectOpts }[]): Promise<string> {
    const link = await openFaultyLink(targets.map(({ name, to }) => new Road(caller, name, to)));
    links.push(link);
    return link.address;
  }

  return {
    get roads() {
      return roads();
    },
    roadsOf: (name) => roads().filter(({ caller, callee }) => caller === name || callee === name),
    toService(caller, replicas: readonly Endpoint[]) {
      return open(
        caller,
        replicas.map(({ name, address }) => ({ name, to: tcp(address) })),
      );
    },
    async toDatabase(caller, connectionString) {
      const { url, target } = serverOf(connectionString);
      const address = await open(caller, [{ name: database, to: target }]);
      url.host = address;
      return url.href;
    },
    mend() {
      for (const road of roads()) {
        road.there.mend();
        road.back.mend();
      }
    },
    async close() {
      await Promise.all(links.map((link) => link.close()));
    },
  };
}

function tcp(address: string): NetConnectOpts {
  const [host, port] = address.split(":");
  return { host: host!, port: Number(port) };
}

/** The embedded server is reached by a socket in a folder, and on Windows by a port of loopback. */
function serverOf(connectionString: string): { readonly url: URL; readonly target: NetConnectOpts } {
  const url = new URL(connectionString);
  const folder = url.searchParams.get("host");
  if (folder === null) return { url, target: { host: url.hostname, port: Number(url.port) } };
  const path = `${folder}/.s.PGSQL.${url.searchParams.get("port") ?? "5432"}`;
  url.search = "";
  return { url, target: { path } };
}
