/** A fleet and its tasks, from files: the CSV form of published traces, or JSON as this command line prints it. */
import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import {
  type AgentWho,
  arrivalOrder,
  fitIdentity,
  MachineKinds,
  type Needs,
  normalizeNeeds,
  placementShape,
  type PlacementShape,
  seededRandom,
  shuffled,
  type SimulatedMachine,
  type SimulatedTask,
  taskClassOf,
} from "@headroom/scheduling";
import { CliError } from "../errors/cli-error.ts";
import { readCsv } from "./csv.ts";
import { agentsOfJson, needsOfJson, type TraceMachine } from "./json-form.ts";
import { errorCode } from "@headroom/runtime";

/** In a published trace a card is 1000 parts, whatever its VRAM. */
const CARD_PARTS = 1_000;
/** No agent may have more, and no task ask for more. */
const MOST_CARDS = 64;

/** A task: its needs, and how placement compares it. */
interface TraceTask {
  readonly needs: Needs;
  readonly shape: PlacementShape;
}

export interface Trace {
  readonly machines: readonly TraceMachine[];
  readonly tasks: readonly TraceTask[];
  /** VRAM of the largest card: asking for that much is asking for a whole one. */
  readonly wholeCardMib: number;
}

export async function readTrace(cwd: string, nodesPath: string, tasksPath: string): Promise<Trace> {
  const machines = await readNodes(cwd, nodesPath);
  const shapes = new Map<Needs, TraceTask>();
  const tasks = (await readTasks(cwd, tasksPath)).map((needs) => {
    const task = shapes.get(needs) ?? { needs, shape: placementShape(needs) };
    shapes.set(needs, task);
    return task;
  });
  if (machines.every(({ facts }) => facts.cards.length === 0)) {
    throw invalid(nodesPath, "no machine has a card", "allocation is counted in VRAM: give a fleet with cards");
  }
  if (tasks.every(({ shape }) => shape.gpuCount === 0)) {
    throw invalid(tasksPath, "no task asks for a card", "allocation is counted in VRAM: give tasks with cards");
  }
  return { machines, tasks, wholeCardMib: largestCardMib(machines) };
}

function largestCardMib(machines: readonly TraceMachine[]): number {
  let largestMib = 0;
  for (const { facts } of machines) {
    for (const { totalMib } of facts.cards) largestMib = Math.max(largestMib, totalMib);
  }
  return largestMib;
}

/** One seed's order of machines and tasks. */
export interface Played {
  readonly machines: readonly SimulatedMachine[];
  readonly tasks: Iterable<SimulatedTask>;
}

/** The machines in an order by chance, which breaks ties, as in the published test; and the tasks in an order by chance. */
export function played(trace: Trace, seed: number): Played {
  const kinds = new MachineKinds();
  const who = new Map<string, AgentWho>();
  // Other numbers than those that order the tasks.
  const random = seededRandom(seed ^ 0x5eed);
  const machines = shuffled(trace.machines, random).map((machine, index) => {
    const machineId = String(index).padStart(8, "0");
    if (machine.who !== null) who.set(machineId, machine.who);
    return { machineId, state: kinds.machineOf(machine.facts).state };
  });
  return { machines, tasks: tasksOf(trace, seed, who) };
}

function* tasksOf(trace: Trace, seed: number, who: ReadonlyMap<string, AgentWho>): Generator<SimulatedTask> {
  for (const { needs, shape } of arrivalOrder(trace.tasks, seed)) {
    const task = { shape, taskClass: taskClassOf(shape, trace.wholeCardMib) };
    yield isChoosy(needs) ? { ...task, accepts: (machineId) => mayHave(who.get(machineId), needs) } : task;
  }
}

function isChoosy({ pool, labels, agentId }: Needs): boolean {
  return pool !== null || agentId !== null || Object.keys(labels).length > 0;
}

/** As everywhere; a machine of which nothing is known is in no pool. */
function mayHave(who: AgentWho | undefined, needs: Needs): boolean {
  return who !== undefined && fitIdentity(who, needs, {}).length === 0;
}

async function readNodes(cwd: string, path: string): Promise<readonly TraceMachine[]> {
  const text = await readText(cwd, path);
  if (isJson(text)) return agentsOfJson(path, text);
  return readCsv(basename(path), text, ["cpu_milli", "memory_mib", "gpu"]).map((row) => {
    const cpuMillicores = row.number("cpu_milli", { min: 0 });
    const memoryMib = row.number("memory_mib", { min: 0 });
    const card = {
      model: row.text("model"),
      totalMib: CARD_PARTS,
      freeMib: CARD_PARTS,
      sharedMemory: false,
      canBeWhole: true,
    };
    const facts = {
      cpuTotalMillicores: cpuMillicores,
      memoryTotalMib: memoryMib,
      cpuMillicores,
      memoryMib,
      cards: Array.from({ length: row.number("gpu", { min: 0, max: MOST_CARDS }) }, () => card),
    };
    return { facts, who: null };
  });
}

async function readTasks(cwd: string, path: string): Promise<readonly Needs[]> {
  const text = await readText(cwd, path);
  if (isJson(text)) return needsOfJson(path, text);
  const rows = readCsv(basename(path), text, ["cpu_milli", "memory_mib", "num_gpu", "gpu_milli"]);
  // By name, so that a seed means the same order whatever the order of the file.
  const byName = rows
    .map((row) => ({ name: row.text("name"), row }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return byName.map(({ row }) => {
    const gpuCount = row.number("num_gpu", { min: 0, max: MOST_CARDS });
    const share = row.number("gpu_milli", { min: 0 }, 0);
    return normalizeNeeds({
      cpuMillicores: row.number("cpu_milli", { min: 0 }),
      memoryMib: row.number("memory_mib", { min: 0 }),
      gpuCount,
      // The share is of one card; tasks with several take them whole.
      gpuVramMib: gpuCount === 0 ? 0 : gpuCount === 1 ? Math.min(CARD_PARTS, Math.max(1, share)) : CARD_PARTS,
      gpuExclusive: false,
      gpuModels:
        gpuCount === 0
          ? []
          : row
              .text("gpu_spec")
              .split("|")
              .filter((model) => model !== ""),
    });
  });
}

function isJson(text: string): boolean {
  return /^\s*[[{]/.test(text);
}

async function readText(cwd: string, path: string): Promise<string> {
  try {
    return await readFile(resolve(cwd, path), "utf8");
  } catch (error) {
    const code = errorCode(error);
    const why = code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a folder" : String(error);
    throw new CliError({ message: `cannot read ${path}: ${why}`, reason: "TRACE_UNREADABLE", cause: error });
  }
}

function invalid(path: string, why: string, wayOut: string): CliError {
  return new CliError({ message: `${path}: ${why}`, reason: "INVALID_TRACE", wayOut });
}
