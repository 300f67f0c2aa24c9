import { setTimeout as pause } from "node:timers/promises";
import { wire } from "@headroom/contracts";
import { waitFor } from "@headroom/testing";
import fc from "fast-check";
import type { Desktop } from "./desktop.ts";
import type { Replica } from "./replica.ts";
import type { World } from "./world.ts";

/** What the model remembers: nothing that decides, only what was done. */
export interface Done {
  readonly log: string[];
}

type Command = fc.AsyncCommand<Done, World>;

/** The claim lease is 1 s: whoever stands still for longer is taken for dead. */
const longerThanLeaseMs = 1_600;

function command(text: string, run: (world: World) => Promise<void>): Command {
  return {
    check: () => true,
    async run(model, world) {
      model.log.push(text);
      await run(world);
    },
    toString: () => text,
  };
}

/** Goes on beside the commands that follow. */
function disturbance<Victim extends Replica | Desktop>(
  text: string,
  victimIn: (world: World) => Victim,
  run: (victim: Victim, world: World) => Promise<void>,
): Command {
  return command(text, (world) => {
    const victim = victimIn(world);
    world.meanwhile(victim, () => run(victim, world));
    return Promise.resolve();
  });
}

const replica = fc.nat({ max: 2 });
const desktop = fc.nat({ max: 2 });

interface TaskShape {
  readonly cores: number;
  readonly vramGb: number;
  readonly fails: boolean;
  readonly dependsOnFirst: boolean;
}

const task: fc.Arbitrary<TaskShape> = fc.record({
  cores: fc.constantFrom(0.5, 1, 2, 4),
  vramGb: fc.constantFrom(0, 0, 0, 8, 20),
  fails: fc.constantFrom(false, false, true),
  dependsOnFirst: fc.boolean(),
});

let plans = 0;

function planOf(tasks: readonly TaskShape[], priority: number): Partial<wire.WorkPlan> {
  plans += 1;
  return wire.WorkPlan.fromPartial({
    name: `model-${plans}`,
    priority,
    tasks: tasks.map(({ cores, vramGb, fails, dependsOnFirst }, index) => ({
      name: `p${plans}-t${index + 1}`,
      command: { argv: [fails ? "fail" : "pass"] },
      // What asks for a card of 20 GB and four cores fits on one machine only, when it is empty.
      needs: { cpuCores: cores, ...(vramGb > 0 && { gpuVramGb: vramGb }) },
      maxAttempts: 2,
      retryOnFailure: index % 2 === 0,
      ...(dependsOnFirst && index > 0 && { dependsOn: [`p${plans}-t1`] }),
    })),
  });
}

const submit = fc
  .tuple(replica, fc.array(task, { minLength: 1, maxLength: 8, size: "max" }), fc.nat({ max: 3 }))
  .map(([to, tasks, priority]) =>
    command(`submit ${tasks.length} tasks of priority ${priority} to replica ${to + 1}`, (world) =>
      world.submit(world.replicas[to]!, planOf(tasks, priority)),
    ),
  );

const cancel = fc
  .tuple(replica, fc.double({ min: 0, max: 0.999, noNaN: true }))
  .map(([by, which]) =>
    command(`cancel a plan through replica ${by + 1}`, (world) => world.cancel(world.replicas[by]!, which)),
  );

/** It dies at a call of its ports that nobody chose, is gone for a moment, and comes back. */
const crash = fc
  .tuple(replica, fc.integer({ min: 1, max: 20 }), fc.constantFrom("before" as const, "after" as const))
  .map(([which, calls, when]) =>
    disturbance(
      `replica ${which + 1} dies ${when} its call ${calls} from now`,
      ({ replicas }) => replicas[which]!,
      async (victim) => {
        victim.fate().dieAt(calls, when);
        await Promise.race([victim.fate().died, pause(1_500)]);
        victim.fate().die();
        await victim.bury();
        await victim.start();
      },
    ),
  );

const freeze = replica.map((which) =>
  disturbance(
    `replica ${which + 1} stands still for longer than its lease`,
    ({ replicas }) => replicas[which]!,
    async (victim) => {
      const fate = victim.fate();
      fate.freeze();
      await pause(longerThanLeaseMs);
      fate.thaw();
    },
  ),
);

const doubleResults = fc
  .tuple(desktop, fc.integer({ min: 1, max: 4 }))
  .map(([which, count]) =>
    command(`agent ${which + 1} says its next ${count} results twice`, async (world) =>
      world.desktops[which]!.doubleResults(count),
    ),
  );

const loseResult = desktop.map((which) =>
  command(`the next result of agent ${which + 1} is lost with its streams`, async (world) =>
    world.desktops[which]!.loseNextResult(),
  ),
);

const repeatOld = desktop.map((which) =>
  command(`agent ${which + 1} says all its old results again`, async (world) =>
    world.desktops[which]!.repeatOldResults(),
  ),
);

const restartAgent = desktop.map((which) =>
  disturbance(
    `agent ${which + 1} is restarted`,
    ({ desktops }) => desktops[which]!,
    async (victim) => {
      await victim.stop();
      await victim.start();
    },
  ),
);

/** The lease of what it ran ends while nobody hears of it; what it finished meanwhile is told too late. */
const loseAgent = desktop.map((which) =>
  disturbance(
    `agent ${which + 1} is cut off until its leases have ended, and comes back`,
    ({ desktops }) => desktops[which]!,
    async (victim, world) => {
      victim.cut();
      await pause(100);
      await waitFor(() => victim.running() === 0, { describe: `the commands of agent ${which + 1} to end` });
      await world.endLeases(victim);
      // Whoever sweeps finds them within a second or so.
      await pause(2_000);
      victim.restore();
    },
  ),
);

const wait = fc.integer({ min: 20, max: 500 }).map((ms) => command(`${ms} ms pass`, () => pause(ms)));

export const someCommands = fc.commands<Done, World>(
  [
    submit,
    submit,
    submit,
    cancel,
    crash,
    crash,
    freeze,
    doubleResults,
    loseResult,
    repeatOld,
    restartAgent,
    loseAgent,
    wait,
    wait,
    wait,
  ],
  { size: "max", maxCommands: 30 },
) as fc.Arbitrary<Iterable<Command>>;
