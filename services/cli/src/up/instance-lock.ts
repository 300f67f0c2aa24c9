import { join } from "node:path";
import { type OwnerLock, type Ports, takeOwnerLock } from "@headroom/runtime";
import { CliError } from "../errors/cli-error.ts";
import { instant } from "../output/format.ts";

/** Makes this process the one `headroom up` of a data folder, or throws CliError that names the process that is. */
export async function takeInstanceLock(runDir: string, dataDir: string, ports: Ports): Promise<OwnerLock> {
  const result = await takeOwnerLock(join(runDir, "up.lock"), { clock: ports.clock });
  if (result.kind === "taken") return result.lock;
  throw new CliError({
    message: `Headroom runs already on ${dataDir}: process ${result.pid}, since ${instant(result.sinceMs)}`,
    reason: "DATA_DIR_IN_USE",
    wayOut:
      `use it (headroom capacity), or stop it (Ctrl-C in its terminal, or kill ${result.pid}), ` +
      "or run a second one on its own data and ports: --data-dir PATH and the HEADROOM_…_ADDR variables (headroom up --help)",
  });
}
