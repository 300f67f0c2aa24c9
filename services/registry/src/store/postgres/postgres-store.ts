/** The store on PostgreSQL. Each method is one statement or one transaction of a file beside this one. */
import { classifyError, type Database, defineStatement, isSchemaMismatch, type Queryable } from "@headroom/postgres";
import type { EpochMs } from "@headroom/scheduling";
import { type RegistryStore, StoreUnavailableError } from "../registry-store.ts";
import { admitAgents } from "./admit.ts";
import { enrolAgent } from "./enrolments.ts";
import { commitReservations } from "./commit-reservations.ts";
import { removeAgent, setCordon } from "./fleet-admin.ts";
import { endDrains, startDrain } from "./drains.ts";
import { findDueLeases, findReservations, purgeTombstones } from "./leases.ts";
import { loadAgents, loadChangedSince, loadFleet } from "./load-agents.ts";
import { createJoinToken, listJoinTokens, revokeJoinToken } from "./join-tokens.ts";
import { confirmLosses, renewReplica, retireReplica } from "./replicas.ts";
import { addToTaskMix } from "./task-mix.ts";
import { writeBeats } from "./write-beats.ts";
import { writeStatuses } from "./write-statuses.ts";

const now = defineStatement<{ readonly now: number }>({
  name: "registry_now",
  text: "SELECT now() AS now",
  answerWithinMs: 5_000,
});

async function databaseNowMs(db: Queryable): Promise<EpochMs> {
  const [row] = await db.query(now);
  if (row === undefined) throw new Error("SELECT now() returned no row");
  return row.now;
}

export function createPostgresStore(db: Database): RegistryStore {
  /** Says "away" in the words of the port; a timeout, a full disk or a schema in the middle of an update is "away" to callers too: they can only try again. */
  async function call<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isSchemaMismatch(error)) {
        throw new StoreUnavailableError("the database's schema is of another version", { cause: error });
      }
      const { kind } = classifyError(error);
      if (kind === "other" || kind === "unique_violation") throw error;
      throw new StoreUnavailableError(`the database does not take this now (${kind})`, { cause: error });
    }
  }

  /** The answer, and the time at which it was certainly true: asked before the answer was. */
  function timed<T extends object>(work: () => Promise<T>): Promise<T & { nowMs: EpochMs }> {
    return call(async () => {
      const nowMs = await databaseNowMs(db);
      return { ...(await work()), nowMs };
    });
  }

  return {
    ping: () => timed(() => Promise.resolve({})),
    loadFleet: (tombstonesSinceMs) => timed(async () => ({ agents: await loadFleet(db, tombstonesSinceMs) })),
    loadAgents: (agentIds) => timed(async () => ({ agents: await loadAgents(db, agentIds) })),
    loadChangedSince: (sinceMs) => call(() => loadChangedSince(db, sinceMs)),
    findReservations: (attemptIds) => call(() => findReservations(db, attemptIds)),
    admit: (admissions) =>
      timed(async () => {
        const refused = await admitAgents(db, admissions);
        return {
          refused,
          agents: await loadAgents(
            db,
            admissions.map(({ identity }) => identity.agentId),
          ),
        };
      }),
    writeBeats: (beats) =>
      timed(async () => {
        await writeBeats(db, beats);
        return {};
      }),
    writeStatuses: (statuses) =>
      timed(async () => {
        await writeStatuses(db, statuses);
        return {};
      }),
    commitReservations: (commit) => call(() => commitReservations(db, commit)),
    findDueLeases: (limit) => timed(async () => ({ due: await findDueLeases(db, limit) })),
    purgeTombstones: (olderThanMs, limit) => call(() => purgeTombstones(db, olderThanMs, limit)),
    setCordon: (agentId, cordoned, reason) =>
      call(async () => {
        if (!(await setCordon(db, agentId, cordoned, reason))) return null;
        const [agent] = await loadAgents(db, [agentId]);
        return agent ?? null;
      }),
    startDrain: (agentId, deadlineMs, reason) =>
      call(async () => {
        if (!(await startDrain(db, agentId, deadlineMs, reason))) return null;
        const [agent] = await loadAgents(db, [agentId]);
        return agent ?? null;
      }),
    endDrains: (agentIds) =>
      timed(async () => {
        await endDrains(db, agentIds);
        // Not only those that were ended now: of a drain that was ended before the answer may have been lost.
        return { agents: await loadAgents(db, agentIds) };
      }),
    removeAgent: (agentId) => call(() => removeAgent(db, agentId)),
    createJoinToken: (token) => call(() => createJoinToken(db, token)),
    listJoinTokens: () => call(() => listJoinTokens(db)),
    revokeJoinToken: (tokenId) => call(() => revokeJoinToken(db, tokenId)),
    enrolAgent: (enrolment) => call(() => enrolAgent(db, enrolment)),
    renewReplica: (replicaId, leaseMs) => call(() => renewReplica(db, replicaId, leaseMs)),
    confirmLosses: () =>
      timed(async () => {
        await confirmLosses(db);
        return {};
      }),
    retireReplica: (replicaId) => call(() => retireReplica(db, replicaId)),
    addToTaskMix: (fresh) => call(() => addToTaskMix(db, fresh)),
    close: () => db.close(),
  };
}
