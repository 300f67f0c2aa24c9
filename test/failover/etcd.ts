import { join } from "node:path";
import { makeFolder, member, type Member } from "./member.ts";

/** One etcd, which says who the primary is. It is not what is tried here, so one of it has to do. */
export function etcdMember(
  program: string,
  parent: string,
  ports: { readonly client: number; readonly peer: number },
): Member {
  const folder = makeFolder(join(parent, "etcd"));
  const client = `http://127.0.0.1:${ports.client}`;
  const peer = `http://127.0.0.1:${ports.peer}`;
  return member("etcd", {
    folder,
    argv: [
      program,
      ...["--name", "etcd", "--data-dir", join(folder, "data"), "--logger", "zap", "--log-level", "warn"],
      ...["--listen-client-urls", client, "--advertise-client-urls", client],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `etcd=${peer}`],
    ],
  });
}
