import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type OwnerPlace, placeInWords, placeRelation, readOwnerPlace } from "./owner-lock-place.ts";

const desktop: OwnerPlace = {
  host: "desk",
  machine_id: "m1",
  boot_id: "b1",
  pid_namespace: "pid:[4026531836]",
  on_own_disk: true,
};
const restarted = { ...desktop, boot_id: "b2" };
const inContainer = { ...desktop, pid_namespace: "pid:[4026532178]" };

describe("what can be told of an owner", () => {
  it.each<[string, OwnerPlace, OwnerPlace, string]>([
    ["at the same place", desktop, { ...desktop }, "same"],
    ["in the same container", inContainer, { ...inContainer }, "same"],
    ["before the machine was started anew", desktop, restarted, "past"],
    ["on another host", desktop, { ...desktop, host: "other" }, "elsewhere"],
    ["in a container, seen from its machine", inContainer, desktop, "elsewhere"],
    ["on the machine, seen from a container", desktop, inContainer, "elsewhere"],
    ["in another container", inContainer, { ...inContainer, pid_namespace: "pid:[4026532179]" }, "elsewhere"],
    [
      "in a container whose number came again after a restart",
      inContainer,
      { ...restarted, ...inContainer, boot_id: "b2" },
      "elsewhere",
    ],
    ["on a machine that only has the same name", desktop, { ...restarted, machine_id: "m2" }, "elsewhere"],
    [
      "on a clone of this machine, over a network share",
      { ...desktop, on_own_disk: false },
      { ...restarted, on_own_disk: false },
      "elsewhere",
    ],
    ["on a clone that serves the share", desktop, { ...restarted, on_own_disk: false }, "elsewhere"],
    ["on a clone that has the share", { ...desktop, on_own_disk: false }, restarted, "elsewhere"],
    ["on machines without an id", { ...desktop, machine_id: null }, { ...restarted, machine_id: null }, "elsewhere"],
    ["where nothing tells its start", { ...desktop, boot_id: null }, { ...desktop, boot_id: null }, "elsewhere"],
    ["where the start is told only there", desktop, { ...desktop, boot_id: null }, "elsewhere"],
    [
      "where nothing tells whose its pid is",
      { ...desktop, pid_namespace: null },
      { ...desktop, pid_namespace: null },
      "elsewhere",
    ],
  ])("%s", (_where, owner, here, relation) => {
    expect(placeRelation(owner, here)).toBe(relation);
  });

  it("says where it is", () => {
    expect(placeInWords({ ...inContainer, host: "3f2a" }, desktop)).toBe(
      "in another container of this machine (host name 3f2a)",
    );
    expect(placeInWords({ ...restarted, host: "other" }, desktop)).toBe("on host other");
    expect(placeInWords(restarted, { ...desktop, machine_id: "m2" })).toBe(
      "on another machine that is called desk too",
    );
  });

  it("this process is where it is", async () => {
    const dir = await mkdtemp(join(tmpdir(), "headroom-place-"));
    try {
      const here = await readOwnerPlace(dir);
      expect(placeRelation(here, await readOwnerPlace(dir))).toBe("same");
      expect((await readOwnerPlace("/proc")).on_own_disk).toBe(false);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});
