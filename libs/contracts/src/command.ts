import { Command as WireCommand } from "./gen/headroom/orchestrator/v1/plan.ts";

/** A command, run without a shell. */
export interface Command {
  /** Program and arguments; at least one. */
  readonly argv: readonly string[];
  /** On top of the agent's own. Never logged. */
  readonly env: Readonly<Record<string, string>>;
  /** Null: a fresh folder of its own. */
  readonly workingDir: string | null;
}

export function commandFromWire(command: WireCommand): Command {
  const { argv, env, workingDir } = command;
  return { argv: [...argv], env: { ...env }, workingDir: workingDir === "" ? null : workingDir };
}

export function commandToWire(command: Command): WireCommand {
  return WireCommand.fromPartial({
    argv: [...command.argv],
    env: { ...command.env },
    workingDir: command.workingDir ?? "",
  });
}
