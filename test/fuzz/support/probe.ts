import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { ServiceMember } from "../../e2e/support/members.ts";

/** What a process is at a moment, its garbage collected. */
export interface Measured {
  readonly rssMib: number;
  readonly heapMib: number;
  /** Buffers outside of the heap. */
  readonly buffersMib: number;
  /** The longest that its event loop was late since the measurement before. */
  readonly worstDelayMs: number;
  readonly descriptors: number;
}

const mib = 1_048_576;

/** Asks the probe that was loaded into the process. Rejects when it does not answer within 30 s. */
export async function measure(service: ServiceMember, probesDir: string): Promise<Measured> {
  const pid = service.pid();
  const text = await ask(join(probesDir, `${pid}.sock`));
  const told = JSON.parse(text) as Record<"rss" | "heapUsed" | "arrayBuffers" | "worstDelayMs", number>;
  return {
    rssMib: Math.round(told.rss / mib),
    heapMib: Math.round(told.heapUsed / mib),
    buffersMib: Math.round(told.arrayBuffers / mib),
    worstDelayMs: Math.round(told.worstDelayMs),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

/** The resident memory now, without asking the process: it may have no time to answer. */
export function rssMib(pid: number): number {
  const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Math.round(Number(kib ?? 0) / 1_024);
}

function ask(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(path);
    socket.setTimeout(30_000, () => socket.destroy(new Error(`${path} did not answer within 30 s`)));
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("end", () => resolve(Buffer.concat(chunks).toString()));
  });
}

/** All that a service has logged: the current file and those before it. */
export function logBytes(dir: string): number {
  if (!existsSync(dir)) return 0;
  return readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
}
