import type { Socket } from "node:net";

/**
 * Calls `then` when the peer has said something, which stays to be read. In HTTP/2 and in TLS it is the client who speaks first, so a
 * connection that says nothing costs a socket, and neither a session (some 30 KiB) nor a TLS context.
 */
export function afterFirstBytes(socket: Socket, then: () => void): void {
  const gone = (): void => void socket.destroy();
  const readable = (): void => {
    const first: unknown = socket.read();
    // Its end, which the socket tells by itself.
    if (!Buffer.isBuffer(first)) return;
    socket.off("readable", readable);
    socket.off("error", gone);
    socket.unshift(first);
    then();
  };
  socket.on("error", gone);
  socket.on("readable", readable);
}
