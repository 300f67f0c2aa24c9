import { defaultDataDir } from "@headroom/runtime";
import { renderError } from "../errors/render.ts";
import type { CliIo } from "../io.ts";
import type { Part } from "../parts.ts";
import { findSupervisor } from "../supervised.ts";
import { unknownSettings } from "../unknown-settings.ts";

/** Runs one part in the foreground until it is told to stop, and answers its exit code. */
export async function runPart(part: Part, io: CliIo, flags: Readonly<Record<string, unknown>>): Promise<number> {
  // It has a stop to make, and a log of its own.
  io.outliveReaders();
  const supervisor = findSupervisor(io.env);
  if (supervisor !== null) return runSupervised(part, io, flags, supervisor);
  for (const line of unknownSettings(io.env)) io.stderr.write(`headroom: ${line}\n`);
  return part.run({
    env: io.env,
    flags,
    pretty: io.stderr.isTTY,
    onConnection: (line) => io.stderr.write(`headroom: ${line}\n`),
    onReady({ grpc, http, agentId }) {
      const where = [
        ...(grpc === null ? [] : [`gRPC ${grpc}`]),
        ...(http === null ? [] : [`REST ${http}`]),
        ...(agentId === null ? [] : [agentId]),
      ];
      io.stderr.write(
        `headroom: the ${part.name} runs${where.length === 0 ? "" : `: ${where.join(", ")}`}; Ctrl-C stops it\n`,
      );
    },
  });
}

async function runSupervised(
  part: Part,
  io: CliIo,
  flags: Readonly<Record<string, unknown>>,
  supervisor: NonNullable<ReturnType<typeof findSupervisor>>,
): Promise<number> {
  try {
    return await part.run({
      env: io.env,
      flags,
      pretty: false,
      until: supervisor.gone,
      onReady(facts) {
        supervisor.tell({ kind: "ready", ...facts }).catch(() => undefined);
      },
    });
  } catch (error) {
    await supervisor.tell({ kind: "failed", text: renderError(error, defaultDataDir(io.env)) });
    return 1;
  }
}
