import { existsSync } from "node:fs";
import { vendorOf, type CardVendor } from "../sampling/gpu.ts";
import type { RunSpec, VisibleCard } from "./runner.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Environment entry by which the processes of an attempt are known again, whatever group they moved to. */
export function attemptMarker(attemptId: string): string {
  return `HEADROOM_ATTEMPT_ID=${attemptId}`;
}

// What the agent itself was configured with is none of a task's business; it may hold the local token and database passwords.
// npm's own variables come in when the agent is started by `npm start`, and may hold registry tokens.
const ownNames = /^(HEADROOM_|PAUSE_|npm_|OTEL_)/;
const ownNamesExact = new Set([
  "DATABASE_URL",
  "TEST_DATABASE_URL",
  "PGPASSWORD",
  "PGPASSFILE",
  "PGSERVICEFILE",
  "INIT_CWD",
]);

/**
 * The environment of a task: the agent's own without what configures Headroom, on top of it the task's, on top of that what
 * says which task it is and which cards it may use. Indexes are counted by each vendor, so each variable names cards of its own vendor
 * only. Without one it is there and names none, so that a library which takes every card it finds takes none. On a machine that has no AMD
 * card HIP's is left out: programs that compare the two take a -1 there for a mistake.
 */
export function taskEnvironment(
  agentEnv: Environment,
  spec: RunSpec,
  workingDir: string,
  platform: NodeJS.Platform = process.platform,
  mayHaveAmd: boolean = mayHaveAmdCards(platform),
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(agentEnv))
    if (value !== undefined && !ownNames.test(name) && !ownNamesExact.has(name)) env[name] = value;
  // Windows cannot hold an empty variable; -1 names no card either.
  const noCuda = platform === "win32" ? "-1" : "";
  // HIP takes an empty variable for none at all: it then reads CUDA's, and with that empty too takes every card.
  const hip = indexesOf("amd", spec.cards) || (mayHaveAmd ? "-1" : "");
  if (hip === "") delete env["HIP_VISIBLE_DEVICES"];
  return {
    ...env,
    PWD: workingDir,
    ...spec.env,
    HEADROOM_TASK_ID: spec.taskId,
    HEADROOM_ATTEMPT_ID: spec.attemptId,
    HEADROOM_PLAN_ID: spec.planId,
    // Without it CUDA counts the fastest card first, and not as nvidia-smi does.
    CUDA_DEVICE_ORDER: "PCI_BUS_ID",
    CUDA_VISIBLE_DEVICES: indexesOf("nvidia", spec.cards) || noCuda,
    ...(hip === "" ? {} : { HIP_VISIBLE_DEVICES: hip }),
  };
}

/** What HIP opens: AMD's compute device, or the door to Windows in WSL. Windows itself may have any card; macOS has no HIP. */
function mayHaveAmdCards(platform: NodeJS.Platform): boolean {
  if (platform === "linux") return existsSync("/dev/kfd") || existsSync("/dev/dxg");
  return platform === "win32";
}

/** A card whose id does not tell its vendor (a declared one) may be anybody's: all declared cards are counted together. */
function indexesOf(vendor: CardVendor, cards: readonly VisibleCard[]): string {
  return cards
    .filter(({ cardId }) => (vendorOf(cardId) ?? vendor) === vendor)
    .map(({ index }) => index)
    .join(",");
}
