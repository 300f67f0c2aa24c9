import { readFileSync } from "node:fs";
import { join } from "node:path";
import { dataPaths, errorCode } from "@headroom/runtime";

/** Where `headroom up` runs the services of a data folder. */
export interface Endpoints {
  /** gRPC, as HOST:PORT. */
  readonly registry: string;
  readonly orchestrator: string;
}

/** The file in which `headroom up` says so, for every program that uses the same data folder. */
export function endpointsFile(dataDir: string): string {
  return join(dataPaths(dataDir).runDir, "endpoints.json");
}

/** What the file says; null when there is none, or none that can be read (another user's data folder, say). */
export function readEndpoints(dataDir: string): Endpoints | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(endpointsFile(dataDir), "utf8"));
  } catch {
    return null;
  }
  if (typeof parsed !== "object" || parsed === null) return null;
  const registry: unknown = Reflect.get(parsed, "registry");
  const orchestrator: unknown = Reflect.get(parsed, "orchestrator");
  if (!isAlive(Reflect.get(parsed, "pid"))) return null;
  return typeof registry === "string" && typeof orchestrator === "string" ? { registry, orchestrator } : null;
}

/** One that was killed could not take its file away. */
function isAlive(pid: unknown): boolean {
  if (typeof pid !== "number") return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there and another user's.
    return errorCode(error) === "EPERM";
  }
}
