import { connect, createServer, type Socket } from "node:net";

/** A way to an address on which everything that the caller says takes its time; answers come back at once. */
export interface SlowLink {
  /** HOST:PORT to call instead. */
  readonly address: string;
  close(): Promise<void>;
}

export async function openSlowLink(target: string, delayMs: number): Promise<SlowLink> {
  const [host, port] = target.split(":");
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
  };
  const server = createServer((near) => {
    const far = connect({ host: host!, port: Number(port) });
    keep(near);
    keep(far);
    far.pipe(near);
    // Timers of one delay fire in the order in which they were set.
    near.on("data", (chunk) => setTimeout(() => far.write(chunk), delayMs));
    near.on("end", () => setTimeout(() => far.end(), delayMs));
    near.on("close", () => setTimeout(() => far.destroy(), delayMs));
    far.on("close", () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("the link has no port");
  return {
    address: `127.0.0.1:${bound.port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
