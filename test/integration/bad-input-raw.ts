import { connect } from "node:net";

/** Sends bytes, and resolves when the peer has closed or, at the latest, when we have given up listening. */
export function sendRaw(address: string, bytes: Buffer, listenMs = 1_000): Promise<Buffer> {
  const [host, port] = address.split(":");
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect({ host: host!, port: Number(port) }, () => socket.write(bytes));
    const end = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(Buffer.concat(chunks));
    };
    const timer = setTimeout(end, listenMs);
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", end);
    socket.on("close", end);
  });
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** What is no request, by name. */
export const garbage: readonly (readonly [string, Buffer])[] = [
  ["random bytes", Buffer.from(Array.from({ length: 4_096 }, (_, n) => (n * 131 + 7) % 256))],
  ["half an HTTP/2 preface", preface.subarray(0, 10)],
  [
    "an HTTP/2 preface and a frame of a wrong length",
    Buffer.concat([preface, Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])]),
  ],
  [
    "a settings frame with a payload of no sense",
    Buffer.concat([preface, Buffer.from([0, 0, 5, 4, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5])]),
  ],
  ["a TLS hello", Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03])],
  ["an HTTP/1.1 request", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
  ["a header without an end", Buffer.from(`GET / HTTP/1.1\r\nX-Long: ${"a".repeat(70_000)}`)],
  ["two requests of which the second is none", Buffer.from("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n\0\0\0\0\r\n\r\n")],
  ["nothing at all", Buffer.alloc(0)],
];
