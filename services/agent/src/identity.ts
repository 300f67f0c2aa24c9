import { join } from "node:path";
import { readJsonFile, writeJsonFile, type Random } from "@headroom/runtime";

/** Name of the file in an agent's folder that says who the agent is: where it is missing, no agent has ever started. */
export const identityFileName = "identity.json";

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The identity file cannot be used. The message says what to do; show it without a stack. */
export class IdentityError extends Error {
  override readonly name = "IdentityError";
}

/**
 * The agent's id (UUID), kept in a file of its folder; made at the first start. A damaged file is an error and not a
 * new identity: the registry would take the machine for a second one.
 */
export async function loadAgentId(agentDir: string, random: Random): Promise<string> {
  const path = join(agentDir, identityFileName);
  const file = await readJsonFile(path);
  switch (file.kind) {
    case "ok": {
      const agentId = readAgentId(file.value);
      if (agentId === null) throw damaged(path, "holds no agent_id that is a UUID");
      return agentId;
    }
    case "missing": {
      const agentId = random.uuid();
      await writeJsonFile(path, { agent_id: agentId });
      return agentId;
    }
    case "corrupt":
      throw damaged(path, "is not JSON");
  }
}

function readAgentId(value: unknown): string | null {
  const agentId: unknown = typeof value === "object" && value !== null ? Reflect.get(value, "agent_id") : null;
  return typeof agentId === "string" && uuid.test(agentId.toLowerCase()) ? agentId.toLowerCase() : null;
}

function damaged(path: string, what: string): IdentityError {
  return new IdentityError(
    `${path} ${what}. Write {"agent_id": "…"} with the id that "headroom agents" shows for this machine, ` +
      `or delete the file to join as a new agent.`,
  );
}
