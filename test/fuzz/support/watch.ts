/** What rubbish may cost a service: looked at after every part of a run, its garbage collected. */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { logBytes, measure, type Measured, rssMib } from "./probe.ts";
import type { Tally } from "./tally.ts";
import type { World } from "./world.ts";

export interface Bounds {
  /** After the part, the garbage collected, above what it was at the beginning of the run. Buffers outside of the heap count. */
  readonly heapGrowthMib: number;
  /** The same of all its memory, of which the allocator keeps what was used at the highest: a leak is what comes on top of that, again and again. */
  readonly rssGrowthMib: number;
  /** At its highest, in between. */
  readonly peakRssMib: number;
  readonly worstDelayMs: number;
  readonly logBytesPerCase: number;
}

export interface Watch {
  /** Runs a part and looks at what it did; what is out of bounds goes into the tally. */
  during(phase: string, run: () => Promise<void>): Promise<void>;
}

const forbidden =
  /unhandled rejection|uncaught exception|a fault of this service|an HTTP request failed|could not be handled/i;

export async function startWatch(world: World, tally: Tally, bounds: Bounds): Promise<Watch> {
  const first = new Map<string, Measured>();
  for (const service of world.services) {
    // The program has settled after its start; else the first part would be blamed for what the start left behind.
    await measure(service, world.probesDir);
    first.set(service.name, await measure(service, world.probesDir));
  }

  async function during(phase: string, run: () => Promise<void>): Promise<void> {
    const casesBefore = tally.caseCount;
    const logsBefore = world.services.map(({ name }) => logBytes(logsOf(world, name)));
    const textBefore = world.services.map((service) => service.log().length);
    const peaks = new Map(world.services.map(({ name }) => [name, 0]));
    const over = new AbortController();
    const looking = lookAtMemory(world, peaks, over.signal);
    await run();
    over.abort();
    await looking;
    for (const [index, service] of world.services.entries()) {
      if (!service.isRunning()) continue;
      const at = `${phase}: ${service.name}`;
      const begun = first.get(service.name)!;
      const now = await measured(service, begun);
      note(at, service.name, begun, now, peaks.get(service.name)!);
      const logged = logBytes(logsOf(world, service.name)) - logsBefore[index]!;
      const cases = Math.max(1_000, tally.caseCount - casesBefore);
      const text = service.log().slice(textBefore[index]);
      if (logged > cases * bounds.logBytesPerCase)
        tally.find(phase, `${service.name} logged ${logged} bytes for ${cases} cases: ${mostSaid(text)}`);
      const line = text.split("\n").find((each) => forbidden.test(each));
      if (line !== undefined) tally.find(phase, `${service.name} logged: ${line.slice(0, 1_500)}`);
    }
  }

  /** Sockets that were closed are gone a moment later, and memory is given back in the background: what is above its bound is looked at again. */
  async function measured(service: World["services"][number], begun: Measured): Promise<Measured> {
    let now = await measure(service, world.probesDir);
    const { worstDelayMs } = now;
    const isAbove = (): boolean =>
      usedMib(now) - usedMib(begun) > bounds.heapGrowthMib || now.rssMib - begun.rssMib > bounds.rssGrowthMib;
    for (let again = 0; again < 10 && isAbove(); again += 1) {
      await pause(1_000);
      now = await measure(service, world.probesDir);
    }
    return { ...now, worstDelayMs };
  }

  function note(at: string, name: string, begun: Measured, now: Measured, peakMib: number): void {
    const growth = now.rssMib - begun.rssMib;
    tally.maxRssGrowthMib[name] = Math.max(tally.maxRssGrowthMib[name] ?? 0, growth);
    tally.peakRssMib[name] = Math.max(tally.peakRssMib[name] ?? 0, peakMib);
    tally.worstDelayMs[name] = Math.max(tally.worstDelayMs[name] ?? 0, now.worstDelayMs);
    console.error(
      `${at}: rss ${begun.rssMib} -> ${now.rssMib} MiB (peak ${peakMib}), heap ${begun.heapMib} -> ${now.heapMib} MiB, ` +
        `buffers ${begun.buffersMib} -> ${now.buffersMib} MiB, loop at most ${now.worstDelayMs} ms late, ${now.descriptors} descriptors`,
    );
    const used = usedMib(now) - usedMib(begun);
    if (used > bounds.heapGrowthMib) tally.find(at, `its heap and buffers grew by ${used} MiB`);
    if (growth > bounds.rssGrowthMib) tally.find(at, `its resident memory grew by ${growth} MiB`);
    if (peakMib > bounds.peakRssMib) tally.find(at, `its resident memory was ${peakMib} MiB at its highest`);
    if (now.worstDelayMs > bounds.worstDelayMs) tally.find(at, `its event loop was ${now.worstDelayMs} ms late`);
  }

  return { during };
}

const usedMib = ({ heapMib, buffersMib }: Measured): number => heapMib + buffersMib;

/** Where a member of a cluster logs. */
const logsOf = ({ cluster }: World, name: string): string => join(cluster.dir, name, "logs");

/** The lines that a log has most of. */
function mostSaid(text: string): string {
  const counts = new Map<string, number>();
  for (const line of text.split("\n")) {
    const said = /"msg":"([^"]*)"/.exec(line)?.[1] ?? "";
    counts.set(said, (counts.get(said) ?? 0) + 1);
  }
  const most = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 3);
  return most.map(([said, count]) => `${count} times ${JSON.stringify(said)}`).join(", ");
}

async function lookAtMemory(world: World, peaks: Map<string, number>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const service of world.services) {
      if (service.isRunning()) peaks.set(service.name, Math.max(peaks.get(service.name)!, rssMib(service.pid())));
    }
    await pause(250, undefined, { signal }).catch(() => undefined);
  }
}
