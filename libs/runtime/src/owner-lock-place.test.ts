import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  hasEnded,
  isOnOneKernel,
  type OwnerPlace,
  placeInWords,
  placeRelation,
  readOwnerPlace,
} from "./owner-lock-place.ts";

const desktop: OwnerPlace = { host: "desk", boot_id: "b1", pid_namespace: "pid:[4026531836]", on_own_disk: true };
const restarted = { ...desktop, boot_id: "b2" };
const inContainer = { ...desktop, pid_namespace: "pid:[4026532178]" };
/** systemd-nspawn and LXC tell each container another start. */
const inLxc = { ...inContainer, boot_id: "b3" };
const onMac = { host: "mac", boot_id: "the only one", pid_namespace: "the only one", on_own_disk: false };

describe("what can be told of an owner", () => {
  it.each<[string, OwnerPlace, OwnerPlace, string]>([
    ["at the same place", desktop, { ...desktop }, "same"],
    ["in the same container", inContainer, { ...inContainer }, "same"],
    ["before the machine was called otherwise", desktop, { ...desktop, host: "desk.lan" }, "same"],
    ["before the machine was started anew", desktop, restarted, "past"],
    ["before the machine was started anew under another name", desktop, { ...restarted, host: "other" }, "past"],
    ["in a container, seen from its machine", inContainer, desktop, "elsewhere"],
    ["on the machine, seen from a container", desktop, inContainer, "elsewhere"],
    ["on the machine, seen from a container with another start", desktop, inLxc, "elsewhere"],
    ["in a container with another start, seen from its machine", inLxc, desktop, "elsewhere"],
    ["in another container", inContainer, { ...inContainer, pid_namespace: "pid:[4026532179]" }, "elsewhere"],
    [
      "in a container whose number came again after a restart",
      inContainer,
      { ...restarted, ...inContainer, boot_id: "b2" },
      "elsewhere",
    ],
    [
      "on another machine, over a network share",
      { ...desktop, on_own_disk: false },
      { ...restarted, on_own_disk: false },
      "elsewhere",
    ],
    ["on a machine that serves the share", desktop, { ...restarted, on_own_disk: false }, "elsewhere"],
    ["on a machine that has the share", { ...desktop, on_own_disk: false }, restarted, "elsewhere"],
    ["where nothing tells its start", { ...desktop, boot_id: null }, { ...desktop, boot_id: null }, "elsewhere"],
    ["where the start is told only there", desktop, { ...desktop, boot_id: null }, "elsewhere"],
    [
      "where nothing tells whose its pid is",
      { ...desktop, pid_namespace: null },
      { ...desktop, pid_namespace: null },
      "elsewhere",
    ],
    ["on the same Mac", onMac, { ...onMac }, "same"],
    ["on another Mac, or on one that is called otherwise now", onMac, { ...onMac, host: "mac.lan" }, "elsewhere"],
  ])("%s", (_where, owner, here, relation) => {
    expect(placeRelation(owner, here)).toBe(relation);
  });

  it("whether its kernel runs no more, and whether a socket would lead to it", () => {
    const told = (owner: OwnerPlace, here: OwnerPlace): readonly boolean[] => [
      hasEnded(owner, here),
      isOnOneKernel(owner, here),
    ];
    expect(told(desktop, restarted)).toEqual([true, true]);
    expect(told(desktop, inContainer)).toEqual([false, true]);
    // Which of the two starts is true cannot be told; the disk is one kernel's all the same.
    expect(told(desktop, inLxc)).toEqual([false, true]);
    expect(told(inLxc, { ...inLxc, boot_id: "b4" })).toEqual([false, true]);
    expect(told(desktop, { ...restarted, on_own_disk: false })).toEqual([false, false]);
    expect(told({ ...desktop, boot_id: null, on_own_disk: false }, desktop)).toEqual([false, false]);
    expect(told(onMac, onMac)).toEqual([false, false]);
  });

  it("says where it is", () => {
    expect(placeInWords({ ...inContainer, host: "3f2a" }, desktop)).toBe(
      "in another container of this machine (host name 3f2a)",
    );
    expect(placeInWords({ ...restarted, host: "other" }, desktop)).toBe("on host other");
    expect(placeInWords(restarted, desktop)).toBe("on another machine that is called desk too");
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
