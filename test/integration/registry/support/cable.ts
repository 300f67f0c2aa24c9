/** A network cable between an agent and a registry: pulled, nothing comes through and nobody is told. */
import { type HostPort } from "@headroom/runtime";
import { connect, createServer, type Server, type Socket } from "node:net";

export interface Cable {
  readonly address: HostPort;
  /** From now on bytes are lost both ways, and both ends stay open. */
  pull(): void;
  /** How many connections the registry still has open. */
  open(): number;
  close(): Promise<void>;
}

export async function startCable(to: HostPort): Promise<Cable> {
  const sockets = new Set<Socket>();
  const upstream = new Set<Socket>();
  let isPulled = false;
  const server: Server = createServer((near) => {
    const far = connect(to.port, to.host);
    upstream.add(far);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
    }
    near.on("data", (bytes) => void (isPulled || far.write(bytes)));
    far.on("data", (bytes) => void (isPulled || near.write(bytes)));
    near.on("close", () => void (isPulled || far.destroy()));
    far.on("close", () => {
      upstream.delete(far);
      if (!isPulled) near.destroy();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the cable does not listen");
  return {
    address: { host: "127.0.0.1", port: address.port },
    pull() {
      isPulled = true;
    },
    open: () => upstream.size,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}
