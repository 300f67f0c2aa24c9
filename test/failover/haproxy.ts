import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, member, type Member } from "./member.ts";
import type { PatroniNode } from "./patroni-node.ts";

/** One address for whichever node is the primary: Patroni's REST API says so, and connections to one that no longer is are cut. */
export function haproxyMember(program: string, parent: string, port: number, nodes: readonly PatroniNode[]): Member {
  const folder = makeFolder(join(parent, "haproxy"));
  const configFile = join(folder, "haproxy.cfg");
  writeFileSync(configFile, configuration(port, nodes));
  return member("haproxy", { folder, argv: [program, "-db", "-f", configFile] });
}

function configuration(port: number, nodes: readonly PatroniNode[]): string {
  const servers = nodes.map(
    ({ name, ports }) => `  server ${name} 127.0.0.1:${ports.postgres} maxconn 80 check port ${ports.rest}`,
  );
  return `
defaults
  mode tcp
  retries 2
  timeout connect 1s
  timeout check 1s
  timeout client 30m
  timeout server 30m
  option clitcpka
  option srvtcpka

listen primary
  bind 127.0.0.1:${port}
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
${servers.join("\n")}
`;
}
