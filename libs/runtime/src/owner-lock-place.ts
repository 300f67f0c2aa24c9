import { readFile, readlink, statfs } from "node:fs/promises";
import { hostname } from "node:os";

/** Where a lock's owner lives, as its claim tells. null: cannot be told, and is no other's equal. */
export interface OwnerPlace {
  readonly host: string;
  /** Another one at each start of the machine; containers on one kernel have the same, but for those of systemd-nspawn and LXC. */
  readonly boot_id: string | null;
  /** Whose numbers its pid is one of. */
  readonly pid_namespace: string | null;
  /** The lock's folder lies on a disk that one machine alone can have mounted. */
  readonly on_own_disk: boolean;
}

/**
 * What a look from one place at an owner in another can tell.
 * "same": its pid means the same here, so the system tells whether it lives.
 * "past": it lived before this machine was started anew, so it is dead.
 * "elsewhere": nothing; it may live.
 */
export type PlaceRelation = "same" | "past" | "elsewhere";

/** The namespace that every Linux kernel starts with; containers have others, unless they share the machine's. */
const firstPidNamespace = "pid:[4026531836]";
/** Of macOS and Windows, where a process has one number for everybody. */
const onlyOne = "the only one";
/**
 * ext2 to ext4, XFS, Btrfs, F2FS, ZFS, bcachefs, JFS, ReiserFS, NILFS. Not overlays, nor shares of the network, of a virtual machine's host or
 * by FUSE.
 */
const diskFileSystems: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0xca451a4e, 0x3153464a, 0x52654973, 0x3434,
]);

/** This process's place as the owner of a lock in the folder `lockDir`, which must be there. */
export async function readOwnerPlace(lockDir: string): Promise<OwnerPlace> {
  const isLinux = process.platform === "linux";
  const [bootId, pidNamespace, onOwnDisk] = await Promise.all([
    isLinux ? told(readFile("/proc/sys/kernel/random/boot_id", "utf8")) : onlyOne,
    isLinux ? told(readlink("/proc/self/ns/pid")) : onlyOne,
    statfs(lockDir).then(
      ({ type }) => diskFileSystems.has(type),
      () => false,
    ),
  ]);
  return { host: hostname(), boot_id: bootId, pid_namespace: pidNamespace, on_own_disk: onOwnDisk };
}

/** A host's name decides only where nothing better is told: it may change while the machine runs. */
export function placeRelation(owner: OwnerPlace, here: OwnerPlace): PlaceRelation {
  if (owner.boot_id === null || owner.pid_namespace === null) return "elsewhere";
  if (owner.pid_namespace !== here.pid_namespace) return "elsewhere";
  if (owner.boot_id !== here.boot_id) return hasEnded(owner, here) ? "past" : "elsewhere";
  return owner.boot_id !== onlyOne || owner.host === here.host ? "same" : "elsewhere";
}

/**
 * Whether the kernel that the owner ran on runs no more. Names do not prove it: machines that were cloned from one image share host name
 * and machine id. What does is the disk, which two running kernels cannot have mounted both. The namespaces keep out containers that are
 * given a boot id of their own while their machine runs on.
 */
export function hasEnded(owner: OwnerPlace, here: OwnerPlace): boolean {
  return (
    owner.boot_id !== null &&
    here.boot_id !== null &&
    owner.boot_id !== here.boot_id &&
    owner.pid_namespace === firstPidNamespace &&
    here.pid_namespace === firstPidNamespace &&
    isOnOneDisk(owner, here)
  );
}

/** Whether a socket in a folder that both see leads to the owner's processes, if these still run: one kernel answers for all its containers. */
export function isOnOneKernel(owner: OwnerPlace, here: OwnerPlace): boolean {
  return (
    (owner.boot_id !== null && owner.boot_id === here.boot_id && owner.boot_id !== onlyOne) || isOnOneDisk(owner, here)
  );
}

/** Where an owner is whose pid means nothing here, for people: what follows "process 7". */
export function placeInWords(owner: OwnerPlace, here: OwnerPlace): string {
  if (owner.boot_id !== null && owner.boot_id === here.boot_id && owner.pid_namespace !== here.pid_namespace) {
    return `in another container of this machine (host name ${owner.host})`;
  }
  return owner.host === here.host ? `on another machine that is called ${owner.host} too` : `on host ${owner.host}`;
}

function isOnOneDisk(owner: OwnerPlace, here: OwnerPlace): boolean {
  return owner.on_own_disk && here.on_own_disk;
}

async function told(reading: Promise<string>): Promise<string | null> {
  const text = await reading.catch(() => "");
  return text.trim() === "" ? null : text.trim();
}
