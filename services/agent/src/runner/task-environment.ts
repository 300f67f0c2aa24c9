import type { RunSpec } from "./runner.ts";

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
 * says which task it is and which cards it may use. Without a card the variables are there and name none, so that a library
 * which takes every card it finds takes none.
 */
export function taskEnvironment(
  agentEnv: Environment,
  spec: RunSpec,
  workingDir: string,
  platform: NodeJS.Platform = process.platform,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(agentEnv))
    if (value !== undefined && !ownNames.test(name) && !ownNamesExact.has(name)) env[name] = value;
  // Windows cannot hold an empty variable; -1 names no card either.
  const noCard = platform === "win32" ? "-1" : "";
  const cards = spec.cardIndexes.length === 0 ? noCard : spec.cardIndexes.join(",");
  return {
    ...env,
    PWD: workingDir,
    ...spec.env,
    HEADROOM_TASK_ID: spec.taskId,
    HEADROOM_ATTEMPT_ID: spec.attemptId,
    HEADROOM_PLAN_ID: spec.planId,
    // Without it CUDA counts the fastest card first, and not as nvidia-smi does.
    CUDA_DEVICE_ORDER: "PCI_BUS_ID",
    CUDA_VISIBLE_DEVICES: cards,
    HIP_VISIBLE_DEVICES: cards,
  };
}
