import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type PatroniNode, scope } from "./patroni-node.ts";

/** `patronictl switchover`: the primary hands over to its synchronous standby. */
export async function switchOver(patronictl: string, from: PatroniNode, to: PatroniNode): Promise<void> {
  const args = ["-c", from.configFile, "switchover", scope, "--leader", from.name, "--candidate", to.name, "--force"];
  const { stdout, stderr } = await promisify(execFile)(patronictl, args, { timeout: 60_000 });
  if (!stdout.includes("Successfully switched over")) throw new Error(`patronictl: ${stdout}${stderr}`);
}
