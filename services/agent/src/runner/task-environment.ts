import { existsSync } from "node:fs";
import { vendorOf, type CardVendor } from "../sampling/gpu.ts";
import { cudaCountHere, type CudaCount } from "../sampling/nvidia/cuda-count.ts";
import type { RunSpec, VisibleCard } from "./runner.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Environment entry by which the processes of an attempt are known again, whatever group they moved to. */
export function attemptMarker(attemptId: string): string {
  return `HEADROOM_ATTEMPT_ID=${attemptId}`;
}

// What the agent itself was configured with is none of a task's business; it may hold the local token and database passwords.
// npm's own variables come in when the agent is started by `npm start`, and may hold registry tokens.
const ownNames = /^(HEADROOM_|PAUSE_|npm_|OTEL_)/;
// HIP counts a task's cards within those that AMD's two name, and the agent promises all that it finds: as with the variables that it sets.
const ownNamesExact = new Set([
  "DATABASE_URL",
  "TEST_DATABASE_URL",
  "PGPASSWORD",
  "PGPASSFILE",
  "PGSERVICEFILE",
  "INIT_CWD",
  "ROCR_VISIBLE_DEVICES",
  "GPU_DEVICE_ORDINAL",
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
  cudaCount: CudaCount = cudaCountHere,
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
    CUDA_VISIBLE_DEVICES: cudaNames(spec.cards, cudaCount) || noCuda,
    ...(hip === "" ? {} : { HIP_VISIBLE_DEVICES: hip }),
  };
}

/** What HIP opens: AMD's compute device, or the door to Windows in WSL. Windows itself may have any card; macOS has no HIP. */
function mayHaveAmdCards(platform: NodeJS.Platform): boolean {
  if (platform === "linux") return existsSync("/dev/kfd") || existsSync("/dev/dxg");
  return platform === "win32";
}

/**
 * By their indexes, for there are programs that read nothing else in CUDA's variable; by their UUIDs where CUDA counts otherwise than the driver.
 * It reads one kind of name in a list.
 */
function cudaNames(cards: readonly VisibleCard[], cudaCount: CudaCount): string {
  const own = cardsOf("nvidia", cards);
  const isCountShared = own.every(({ index }) => cudaCount.shares(index));
  const haveUuids = own.every(({ cardId }) => vendorOf(cardId) === "nvidia");
  if (isCountShared || !haveUuids) return indexesOf("nvidia", cards);
  return [...new Set(own.map(({ cardId }) => cardId))].join(",");
}

function indexesOf(vendor: CardVendor, cards: readonly VisibleCard[]): string {
  return cardsOf(vendor, cards)
    .map(({ index }) => index)
    .join(",");
}

/** A card whose id does not tell its vendor (a declared one) may be anybody's: all declared cards are counted together. */
function cardsOf(vendor: CardVendor, cards: readonly VisibleCard[]): readonly VisibleCard[] {
  return cards.filter(({ cardId }) => (vendorOf(cardId) ?? vendor) === vendor);
}
