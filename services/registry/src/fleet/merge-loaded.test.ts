import { afterFlap, forgiven, NO_FLAPS } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { agentWith, reservationsOf, reservationWith, sampleWith } from "../test-agents.test-helper.ts";
import { mergeAdministered, mergeLoaded } from "./merge-loaded.ts";
import { roomAppeared } from "./room-appeared.ts";

describe("mergeLoaded", () => {
  it("of its own session this process knows more than the store", () => {
    const current = agentWith({ sample: sampleWith(3), attached: true });
    const merged = mergeLoaded(current, agentWith({ sample: null, attached: false }), "this_process");
    expect(merged).toMatchObject({ attached: true, sample: current.sample });
  });

  it("a newer session wins, an older one does not", () => {
    const current = agentWith({ epoch: 2, hostname: "now" });
    expect(mergeLoaded(current, agentWith({ epoch: 3, hostname: "next" }), "another_living").hostname).toBe("next");
    expect(mergeLoaded(current, agentWith({ epoch: 1, hostname: "old" }), "another_living").hostname).toBe("now");
  });

  it("of a session that another living process holds the store knows more", () => {
    const current = agentWith({ status: "online" });
    expect(mergeLoaded(current, agentWith({ status: "suspect" }), "another_living").status).toBe("suspect");
  });

  it.each(["online", "suspect", "unknown"] as const)("what nobody living holds is doubted (%s)", (status) => {
    expect(mergeLoaded(undefined, agentWith({ status }), "nobody").status).toBe("unknown");
    const current = agentWith({ status: "suspect" });
    expect(mergeLoaded(current, agentWith({ status }), "nobody").status).toBe("suspect");
  });

  it("offline stays offline", () => {
    expect(mergeLoaded(undefined, agentWith({ status: "offline" }), "nobody").status).toBe("offline");
  });

  it("reservations follow their guard, whoever holds the session", () => {
    const newer = agentWith({ guardVersion: 5, reservations: reservationsOf(reservationWith()) });
    expect(mergeLoaded(agentWith(), newer, "this_process").reservations.size).toBe(1);
    expect(mergeLoaded(newer, agentWith({ epoch: 9 }), "another_living").reservations.size).toBe(1);
  });

  it.each(["this_process", "another_living", "nobody"] as const)(
    "V14: what was read before a cordon or drain and comes after it changes nothing of it (%s)",
    (holder) => {
      const cordoned = { cordoned: true, cordonReason: "disk", draining: true, drainDeadlineMs: 5 };
      const current = agentWith({ ...cordoned, administeredAtUs: 3 });
      const older = { administeredAtUs: 2 };
      expect(mergeLoaded(current, agentWith(older), holder)).toMatchObject(current);
      expect(mergeLoaded(current, agentWith({ ...older, epoch: 9, guardVersion: 9 }), holder)).toMatchObject(cordoned);
      expect(mergeAdministered(current, agentWith(older))).toMatchObject(cordoned);
      const newer = agentWith({ administeredAtUs: 4 });
      expect(mergeLoaded(current, newer, holder)).toMatchObject({
        cordoned: false,
        draining: false,
        administeredAtUs: 4,
      });
    },
  );

  it("a cordon is the store's to say", () => {
    const cordoned = agentWith({ cordoned: true, cordonReason: "disk" });
    expect(mergeLoaded(agentWith(), cordoned, "this_process")).toMatchObject({ cordoned: true, cordonReason: "disk" });
  });

  it("DESIGN-4: a flap that was forgiven stays so, whichever of the two was read first, and when the agent says hello here", () => {
    const blamed = afterFlap(NO_FLAPS, 1_000, 0);
    const [blame, forgiveness] = [blamed, forgiven(NO_FLAPS, blamed)].map((flapping) => agentWith({ flapping }));
    const read = mergeLoaded(blame, forgiveness!, "another_living");
    expect(read.flapping).toEqual(forgiveness!.flapping);
    const hello = { epoch: 2 };
    for (const holder of ["this_process", "another_living"] as const) {
      expect(mergeLoaded(blame, { ...forgiveness!, ...hello }, holder).flapping).toEqual(forgiveness!.flapping);
    }
    expect(mergeLoaded(forgiveness, { ...blame!, ...hello }, "this_process").flapping).toEqual(forgiveness!.flapping);
  });

  it("DESIGN-4: whether an agent is on probation is what the process says that holds it: a flap that only this one remembers would never end here", () => {
    // Its stream closed here when it had said hello there already.
    const there = { ...NO_FLAPS, flaps: 4, lastFlapAtMs: 1_000, probationUntilMs: 31_000 };
    const here = agentWith({ flapping: afterFlap(there, 3_000) });
    const held = agentWith({ epoch: 2, flapping: there });
    const read = mergeLoaded(here, held, "another_living");
    expect(read.flapping).toEqual(there);
    const ended = { ...held, flapping: { ...there, probationUntilMs: null } };
    const after = mergeLoaded(read, ended, "another_living");
    expect(roomAppeared(read, after)).toBe(true);
    // When it comes back to this process, both count.
    expect(mergeLoaded(here, { ...held, epoch: 3 }, "this_process").flapping).toEqual(here.flapping);
  });
});
