/** One address with several servers behind it. */
import { connect, createServer, type Socket } from "node:net";

export interface Balancer {
  readonly address: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}

/** Each connection goes to the next server, whether that is well or not. */
export async function startBalancer(ports: readonly number[]): Promise<Balancer> {
  const sockets = new Set<Socket>();
  let made = 0;
  const server = createServer((near) => {
    const far = connect(ports[made % ports.length] ?? 0, "127.0.0.1");
    made += 1;
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the balancer does not listen");
  return {
    address: { host: "127.0.0.1", port: address.port },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}
