import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { withTimeout, type Logger, type Ports } from "@headroom/runtime";
import { noCards, withoutRoom, type CardMeasure, type GpuProbe, type GpuReading, type ProcessVram } from "../gpu.ts";

export interface NvidiaSmiOptions {
  readonly ports: Ports;
  readonly logger: Logger;
  /** Where the tool is looked for: PATH and the folders known besides. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform?: NodeJS.Platform;
  /** Longest one call may take. Default 5,000 ms; the tool needs 30 to 800 ms. */
  readonly timeoutMs?: number;
}

const defaultTimeoutMs = 5_000;
/** A machine without the tool is looked at again this often; that costs a few file accesses and no process. */
const lookAgainMs = 300_000;
/** After a call that failed: a driver that is being updated is away for minutes. */
const retryMs = 60_000;
const maxOutputBytes = 1_048_576;

// The name comes last: it is the one field that could hold a comma.
const cardFields = "index,uuid,memory.total,memory.free,utilization.gpu";
const migField = "mig.mode.current";
const processQuery = "gpu_uuid,pid,used_memory";

/** NVIDIA cards through `nvidia-smi`, which every driver brings: a process for each question. */
export function nvidiaSmiProbe(options: NvidiaSmiOptions): GpuProbe {
  const { ports, logger, platform = process.platform, timeoutMs = defaultTimeoutMs } = options;
  let tool: string | null = null;
  let nextLookMs = Number.NEGATIVE_INFINITY;
  let lastCards: readonly CardMeasure[] = [];
  let failing = false;
  let running = 0;
  /** False: the driver is older than cards that can be divided, and does not know the question. */
  let knowsMig = true;

  async function read(withProcesses: boolean): Promise<GpuReading> {
    const nowMs = ports.clock.monotonic();
    if (nowMs < nextLookMs) return failing ? withoutRoom(lastCards) : noCards;
    tool ??= await findTool(options.env, platform);
    if (tool === null) {
      nextLookMs = nowMs + lookAgainMs;
      return noCards;
    }
    try {
      const cards = await queryCards(tool);
      const processes =
        withProcesses && cards.length > 0 ? parseProcesses(await query(tool, "compute-apps", processQuery)) : [];
      if (failing) logger.info({ cards: cards.length }, "nvidia-smi answers again");
      failing = false;
      lastCards = cards;
      return { cards, processes };
    } catch (error) {
      nextLookMs = ports.clock.monotonic() + retryMs;
      // It may be another driver that answers next.
      knowsMig = true;
      if (!failing)
        logger.warn(
          { err: error, tool, retry_in_s: retryMs / 1_000 },
          "nvidia-smi failed; no room is promised on its cards",
        );
      failing = true;
      return withoutRoom(lastCards);
    }
  }

  async function queryCards(path: string): Promise<readonly CardMeasure[]> {
    if (knowsMig) {
      try {
        return parseCards(await query(path, "gpu", `${cardFields},${migField},name`));
      } catch (error) {
        if (!isUnknownField(error)) throw error;
        knowsMig = false;
      }
    }
    return parseCards(await query(path, "gpu", `${cardFields},name`), false);
  }

  async function query(path: string, what: string, fields: string): Promise<string> {
    // A tool that hangs inside the driver cannot be killed. Two of them say enough; a third would only join them.
    if (running >= 2) throw new Error(`${running} earlier calls of nvidia-smi hang and cannot be ended`);
    running += 1;
    const answer = run(path, [`--query-${what}=${fields}`, "--format=csv,noheader,nounits"], timeoutMs);
    const done = (): void => {
      running -= 1;
    };
    answer.then(done, done);
    const late = (): Error => new Error(`nvidia-smi did not answer within ${timeoutMs} ms`);
    return withTimeout(ports.timers, timeoutMs + 500, answer, late);
  }

  return { read };
}

function run(path: string, args: readonly string[], timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const limits = { timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: maxOutputBytes, windowsHide: true } as const;
    execFile(path, args, limits, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const said = (stderr || stdout).trim().slice(0, 300);
      reject(
        new Error(
          error.killed === true ? `nvidia-smi did not answer within ${timeoutMs} ms` : `${error.message} ${said}`,
        ),
      );
    });
  });
}

async function findTool(env: NvidiaSmiOptions["env"], platform: NodeJS.Platform): Promise<string | null> {
  const name = platform === "win32" ? "nvidia-smi.exe" : "nvidia-smi";
  const path = env["PATH"] ?? env["Path"] ?? "";
  // The second is where WSL mounts the driver of Windows.
  const folders = [...path.split(delimiter).filter((folder) => folder !== ""), "/usr/lib/wsl/lib"];
  for (const folder of folders) {
    const file = join(folder, name);
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  return null;
}

/** `Field "mig.mode.current" is not a valid field to query.` */
function isUnknownField(error: unknown): boolean {
  return error instanceof Error && error.message.includes("not a valid field");
}

/**
 * Answers of the tool: one card a line. A figure that the driver does not tell ("[N/A]") counts as 0. A card that is divided (MIG) is there,
 * and nothing of it is given away, as with NVML.
 */
export function parseCards(csv: string, withMig = true): readonly CardMeasure[] {
  return rows(csv).flatMap((fields): CardMeasure[] => {
    const [index, uuid, total, free, utilization, ...others] = fields;
    const [mig = "", ...name] = withMig ? others : ["", ...others];
    const indexNumber = Number(index);
    if (index === undefined || uuid === undefined || !Number.isSafeInteger(indexNumber)) return [];
    const totalMib = Math.floor(figure(total) ?? 0);
    const isPartitioned = mig === "Enabled";
    return [
      {
        cardId: uuid === "" ? `gpu-${indexNumber}` : uuid.slice(0, 128),
        index: indexNumber,
        model: name.join(", ").slice(0, 128),
        totalMib,
        availableMib: isPartitioned ? 0 : Math.min(totalMib, Math.floor(figure(free) ?? 0)),
        utilization: Math.min(100, figure(utilization) ?? 0),
        sharedMemory: false,
        declared: false,
        ...(isPartitioned && { isOutOfCount: true }),
      },
    ];
  });
}

export function parseProcesses(csv: string): readonly ProcessVram[] {
  return rows(csv).flatMap((fields): ProcessVram[] => {
    const [cardId, pid, used] = fields;
    const pidNumber = Number(pid);
    if (cardId === undefined || pid === undefined || !Number.isSafeInteger(pidNumber)) return [];
    return [{ cardId, pid: pidNumber, vramMib: figure(used) }];
  });
}

function rows(csv: string): readonly (readonly string[])[] {
  return csv
    .split("\n")
    .filter((line) => line.includes(","))
    .map((line) => line.split(",").map((field) => field.trim()));
}

function figure(text: string | undefined): number | null {
  const value = text === undefined || text === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) && value >= 0 ? value : null;
}
