import { join } from "node:path";
import { type OwnerLock, ownerInWords, type Ports, takeOwnerLock } from "@headroom/runtime";
import { CliError } from "../errors/cli-error.ts";
import { instant } from "../output/format.ts";

export interface InstanceLockOptions {
  /** Told that it takes up to 15 s, for an earlier one on another machine or in another container may live. */
  readonly say?: (line: string) => void;
  /** Ends that wait. */
  readonly signal?: AbortSignal;
  /** Another one has the folder now, which took this one for dead. */
  readonly onLost?: (error: Error) => void;
}

/**
 * Makes this process the one `headroom up` of a data folder, or throws CliError that names the process that is.
 */
export async function takeInstanceLock(
  runDir: string,
  dataDir: string,
  ports: Ports,
  { say, signal, onLost }: InstanceLockOptions = {},
): Promise<OwnerLock> {
  const result = await takeOwnerLock(join(runDir, "up.lock"), {
    clock: ports.clock,
    timers: ports.timers,
    signal,
    onLost: (owner) =>
      onLost?.(
        new CliError({
          message: `this process stood still, and ${ownerInWords(owner)} has taken ${dataDir} meanwhile: everything stops`,
          reason: "DATA_DIR_TAKEN",
        }),
      ),
    onWatch: (owner) => say?.(`headroom: looking for up to 15 s whether ${ownerInWords(owner)} still uses ${dataDir}`),
  });
  if (result.kind === "taken") return result.lock;
  const stop =
    result.elsewhere === null
      ? `stop it (Ctrl-C in its terminal, or kill ${result.pid})`
      : "stop it where it runs (Ctrl-C in its terminal)";
  throw new CliError({
    message: `Headroom runs already on ${dataDir}: ${ownerInWords(result)}, since ${instant(result.sinceMs)}`,
    reason: "DATA_DIR_IN_USE",
    wayOut:
      `use it (headroom capacity), or ${stop}, ` +
      "or run a second one on its own data and ports: --data-dir PATH and the HEADROOM_…_ADDR variables (headroom up --help)",
  });
}
