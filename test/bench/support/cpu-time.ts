/** CPU time that the parts of a stage take between two moments, PostgreSQL's processes among them. */
import { readdir, readFile } from "node:fs/promises";

/** USER_HZ of every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

interface ProcessTimes {
  readonly parent: number;
  readonly ticks: number;
  /** Of children that have ended. */
  readonly reapedTicks: number;
}

/** CPU seconds of a process and all its children, those included that are gone; null where /proc does not tell. */
export async function cpuSecondsOfTree(pid: number): Promise<number | null> {
  const root = await timesOf(pid);
  if (root === null) return null;
  const others = await Promise.all(
    (await readdir("/proc"))
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .map(timesOf),
  );
  const children = others.filter((times) => times?.parent === pid);
  const ticks = children.reduce((sum, times) => sum + (times?.ticks ?? 0), root.ticks + root.reapedTicks);
  return ticks / TICKS_PER_SECOND;
}

async function timesOf(pid: number): Promise<ProcessTimes | null> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (text === null) return null;
  // The name of the program stands in parentheses and may hold anything.
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [, parent = 0] = fields;
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11);
  return { parent, ticks: utime + stime, reapedTicks: cutime + cstime };
}
