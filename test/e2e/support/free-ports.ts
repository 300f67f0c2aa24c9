import { createServer } from "node:net";

// Below Linux's range for outgoing connections (32768..60999): a service that is down for a moment finds its port free again.
const firstPort = 20_000;
const portCount = 12_000;

const given = new Set<number>();

/** Ports of loopback that nobody listens on, each given once per process. A child's "port 0" could not be known from outside. */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  for (let tries = 0; found.length < count; tries += 1) {
    if (tries > 1_000) throw new Error(`no ${count} free ports from ${firstPort} to ${firstPort + portCount}`);
    const port = firstPort + Math.floor(Math.random() * portCount);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    found.push(port);
  }
  return found;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1" }, () => server.close(() => resolve(true)));
  });
}
