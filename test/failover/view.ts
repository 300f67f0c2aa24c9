import type { PatroniNode } from "./patroni-node.ts";

/** Who is what in a Patroni cluster. */
export interface View {
  readonly leader: string | null;
  readonly syncStandby: string | null;
  /** A primary, its synchronous standby and one more, all of them up and on one timeline. */
  readonly isWhole: boolean;
  /** Those that are not up, or not on the primary's timeline yet. */
  readonly behind: readonly string[];
  /** For messages. */
  readonly members: readonly string[];
}

interface MemberAnswer {
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly timeline?: number;
}

const answersWithinMs = 1_000;

/** Asks node after node; null when none answers. */
export async function readView(nodes: readonly PatroniNode[]): Promise<View | null> {
  for (const { ports } of nodes) {
    try {
      const response = await fetch(`http://127.0.0.1:${ports.rest}/cluster`, {
        signal: AbortSignal.timeout(answersWithinMs),
      });
      if (!response.ok) continue;
      const { members } = (await response.json()) as { readonly members: readonly MemberAnswer[] };
      return viewOf(members, nodes.length);
    } catch {
      // The next one may know.
    }
  }
  return null;
}

/**
 * Whether the primary and its synchronous standby say themselves that they are. What the cluster says of a node that was killed is as old as its
 * last word, for as long as its leader key lives.
 */
export async function isConfirmed(nodes: readonly PatroniNode[], { leader, syncStandby }: View): Promise<boolean> {
  return (await says(nodes, leader, "primary")) && (await says(nodes, syncStandby, "synchronous"));
}

async function says(nodes: readonly PatroniNode[], name: string | null, role: string): Promise<boolean> {
  const node = nodes.find((one) => one.name === name);
  if (node === undefined) return false;
  try {
    const signal = AbortSignal.timeout(answersWithinMs);
    return (await fetch(`http://127.0.0.1:${node.ports.rest}/${role}`, { signal })).ok;
  } catch {
    return false;
  }
}

function viewOf(members: readonly MemberAnswer[], wanted: number): View {
  const isUp = ({ state }: MemberAnswer): boolean => state === "running" || state === "streaming";
  const leader = members.find((one) => one.role === "leader" && isUp(one));
  const syncStandby = members.find((one) => one.role === "sync_standby" && isUp(one));
  const together = members.filter((one) => isUp(one) && one.timeline === leader?.timeline);
  return {
    leader: leader?.name ?? null,
    syncStandby: syncStandby?.name ?? null,
    isWhole: leader !== undefined && syncStandby !== undefined && together.length === wanted,
    behind: members.filter((one) => !together.includes(one)).map(({ name }) => name),
    members: members.map(({ name, role, state, timeline }) => `${name} ${role} ${state} ${timeline ?? "?"}`),
  };
}
