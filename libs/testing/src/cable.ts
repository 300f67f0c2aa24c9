/** A network cable between two processes: pulled, nothing comes through and nobody is told. */
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from "node:net";

export interface Cable {
  readonly address: { readonly host: string; readonly port: number };
  /** From now on bytes are lost both ways, and both ends stay open. */
  pull(): void;
  /** Bytes come through again; what was lost stays lost. */
  plugIn(): void;
  /** The same for the connections that there are, while new ones are carried: a way in between has forgotten them. */
  forget(): void;
  /** How many connections the far end still has open. */
  open(): number;
  close(): Promise<void>;
}

export async function startCable(to: NetConnectOpts): Promise<Cable> {
  const sockets = new Set<Socket>();
  const upstream = new Set<Socket>();
  const forgotten = new Set<Socket>();
  let isPulled = false;
  const server: Server = createServer((near) => {
    const far = connect(to);
    upstream.add(far);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
    }
    const carries = (): boolean => !isPulled && !forgotten.has(far);
    near.on("data", (bytes) => void (carries() && far.write(bytes)));
    far.on("data", (bytes) => void (carries() && near.write(bytes)));
    near.on("close", () => void (carries() && far.destroy()));
    far.on("close", () => {
      upstream.delete(far);
      if (carries()) near.destroy();
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
    plugIn() {
      isPulled = false;
    },
    forget() {
      for (const far of upstream) forgotten.add(far);
    },
    open: () => upstream.size,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}
