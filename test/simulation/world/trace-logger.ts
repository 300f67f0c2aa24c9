import type { LogFields, Logger } from "@headroom/runtime";
import type { Engine } from "../engine/engine.ts";
import type { SimProcess } from "../engine/sim-process.ts";

/** Logs into the trace of the world. */
export function traceLogger(engine: Engine, process: SimProcess, inherited = ""): Logger {
  const at = (level: string, shown: boolean) => (first: LogFields | string, message?: string) => {
    const text = typeof first === "string" ? first : (message ?? "");
    const error = typeof first === "string" || first.err === undefined ? "" : ` (${describe(first.err)})`;
    engine.note(process.name, `${level}${inherited}: ${text}${error}`, shown);
  };
  return {
    debug: at("debug", false),
    info: at("info", true),
    warn: at("warn", true),
    error: at("error", true),
    child: (fields) => traceLogger(engine, process, shortened(fields)),
    together: (write) => write(),
  };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function shortened({ agent_id: agentId, plan_id: planId, task_id: taskId }: LogFields): string {
  const ids = [agentId, planId, taskId].filter((id) => id !== undefined).map((id) => id.slice(0, 8));
  return ids.length === 0 ? "" : ` [${ids.join(" ")}]`;
}
