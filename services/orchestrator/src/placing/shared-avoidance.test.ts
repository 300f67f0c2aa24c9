import { manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { avoidMs, createAvoidedAgents, firstLateMs } from "./avoided-agents.ts";
import { createSharedAvoidance } from "./shared-avoidance.ts";

const agent = "aaaaaaaa-0000-4000-8000-000000000000";

/** Replicas that hear each other, and themselves, as over NOTIFY. */
async function replicas(count: number) {
  const ports = manualPorts();
  const heard = new Map<string, Set<(payload: string) => void>>();
  const forgiven: number[] = [];
  const all = Array.from({ length: count }, (_, index) =>
    createSharedAvoidance({
      instance: `replica-${index}`,
      own: createAvoidedAgents(ports.clock),
      notifier: { notify: (channel, item) => heard.get(channel)?.forEach((hear) => hear(item ?? "*")) },
      listener: {
        subscribe(channel, hear) {
          const same = heard.get(channel) ?? new Set();
          heard.set(channel, same.add(hear));
          return () => void same.delete(hear);
        },
      },
      onForgiven: () => forgiven.push(index),
    }),
  );
  for (const replica of all) await replica.start();
  return { ports, all, forgiven, seen: () => all.map(({ avoided }) => [...avoided.current()]) };
}

describe("what one replica learns of an agent", () => {
  it("keeps all of them away from it, and only for a while", async () => {
    const { ports, all, seen } = await replicas(3);
    all[0]!.avoided.avoid(agent, "refused");
    expect(seen()).toEqual([[agent], [agent], [agent]]);
    await ports.advance(avoidMs);
    expect(seen()).toEqual([[], [], []]);
  });

  it("lets all of them back, and look at what waits, when it is back at one of them", async () => {
    const { all, seen, forgiven } = await replicas(2);
    all[0]!.avoided.avoid(agent, "refused");
    all[1]!.avoided.forgive(agent);
    expect(seen()).toEqual([[], []]);
    expect(forgiven).toEqual([0, 1]);
    // Nobody avoided it: nobody has to look.
    all[0]!.avoided.forgive(agent);
    expect(forgiven).toEqual([0, 1]);
  });

  it("avoids one that was late for a moment only, and longer each time that it is late again", async () => {
    const { ports, all, seen } = await replicas(2);
    for (const forMs of [firstLateMs, 2 * firstLateMs, 4 * firstLateMs]) {
      all[0]!.avoided.avoid(agent, "late");
      await ports.advance(forMs - 1);
      expect(seen()).toEqual([[agent], [agent]]);
      await ports.advance(1);
      expect(seen()).toEqual([[], []]);
    }
    await ports.advance(avoidMs);
    all[0]!.avoided.avoid(agent, "late");
    await ports.advance(firstLateMs);
    expect(seen()).toEqual([[], []]);
  });

  it("is not told of any more once it has stopped", async () => {
    const { all, seen } = await replicas(2);
    await all[1]!.stop();
    all[0]!.avoided.avoid(agent, "refused");
    expect(seen()).toEqual([[agent], []]);
  });
});
