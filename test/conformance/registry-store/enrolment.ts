/** What every RegistryStore must do for agents that join with a token. Run it on each implementation. */
import { NO_FLAPS } from "@headroom/scheduling";
import type { Enrolment, EnrolmentOutcome, NewJoinToken, RegistryStore } from "@headroom/registry";
import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { admissionOf, type StoreUnderTest } from "./fixtures.ts";

function newToken(overrides: Partial<NewJoinToken> = {}): NewJoinToken {
  return {
    tokenId: randomUUID(),
    tokenHash: randomBytes(32),
    requestId: null,
    poolName: "default",
    agentType: "desktop",
    maxUses: 1,
    ttlMs: 60_000,
    ...overrides,
  };
}

export function registryEnrolmentConformance(makeStore: () => Promise<StoreUnderTest>): void {
  describe("RegistryStore conformance: enrolment", () => {
    let under: StoreUnderTest;
    let store: RegistryStore;

    beforeAll(async () => {
      under = await makeStore();
      store = under.store;
    });
    afterAll(async () => under?.close());

    const enrolmentOf = (token: NewJoinToken, overrides: Partial<Enrolment> = {}): Enrolment => ({
      tokenHash: token.tokenHash,
      agentId: randomUUID(),
      requestId: randomUUID(),
      credentialId: randomUUID(),
      poolName: token.poolName,
      agentType: token.agentType,
      ...overrides,
    });

    /** An agent that has enrolled: its credential, and a Hello that shows it. */
    async function enrolled(overrides: Partial<NewJoinToken> = {}) {
      const token = newToken(overrides);
      await store.createJoinToken(token);
      const enrolment = enrolmentOf(token);
      expect((await store.enrolAgent(enrolment)).kind).toBe("enrolled");
      const { agentId, credentialId } = enrolment;
      const hello = admissionOf(agentId, { credentialId });
      const { poolName, agentType } = token;
      return { token, enrolment, hello: { ...hello, identity: { ...hello.identity, poolName, agentType } } };
    }

    async function goOffline(agentId: string): Promise<void> {
      const { epoch } = (await store.loadAgents([agentId])).agents[0]!;
      const offline = { status: "offline", statusReason: "", statusSinceMs: 1, flapping: NO_FLAPS } as const;
      await store.writeStatuses([
        { replicaId: randomUUID(), agentId, epoch, ...offline, attached: false, ownerHold: false },
      ]);
    }

    it("never lets in more agents than a token is for, however many come at once to two processes", async () => {
      const token = newToken({ maxUses: 5 });
      await store.createJoinToken(token);
      const outcomes = await Promise.all(
        Array.from({ length: 24 }, (_, index) =>
          (index % 2 === 0 ? store : under.second).enrolAgent(enrolmentOf(token)),
        ),
      );
      const count = (kind: EnrolmentOutcome["kind"]) => outcomes.filter((outcome) => outcome.kind === kind).length;
      expect([count("enrolled"), count("used_up")]).toEqual([5, 19]);
      const kept = (await under.second.listJoinTokens()).find(({ tokenId }) => tokenId === token.tokenId);
      expect(kept).toMatchObject({ uses: 5, maxUses: 5, isUsable: false, revokedAtMs: null });
    });

    it("tells a token that it does not know, one that has ended, and one for other agents", async () => {
      expect(await store.enrolAgent(enrolmentOf(newToken()))).toEqual({ kind: "unknown_token" });
      const expired = newToken({ ttlMs: 0 });
      await store.createJoinToken(expired);
      expect(await store.enrolAgent(enrolmentOf(expired))).toMatchObject({ kind: "expired", token: { uses: 0 } });
      const revoked = newToken();
      await store.createJoinToken(revoked);
      expect(await under.second.revokeJoinToken(revoked.tokenId)).toBe(true);
      expect(await store.revokeJoinToken(revoked.tokenId)).toBe(true);
      expect(await store.enrolAgent(enrolmentOf(revoked))).toMatchObject({ kind: "revoked" });
      expect(await store.revokeJoinToken(randomUUID())).toBe(false);
      const scoped = newToken({ poolName: "gpu", agentType: "research" });
      await store.createJoinToken(scoped);
      for (const other of [{ poolName: "default" }, { agentType: "desktop" }] as const)
        expect(await store.enrolAgent(enrolmentOf(scoped, other))).toMatchObject({ kind: "other_scope" });
      expect(await store.enrolAgent(enrolmentOf(scoped))).toMatchObject({ kind: "enrolled" });
    });

    it("answers a call that is asked again the same, and counts it once, even after the token has ended", async () => {
      const requestId = randomUUID();
      const first = await store.createJoinToken(newToken({ requestId, maxUses: 2 }));
      const again = await under.second.createJoinToken(newToken({ requestId, maxUses: 2 }));
      expect(again).toEqual(first);
      const { token, enrolment } = await enrolled();
      await store.revokeJoinToken(token.tokenId);
      const repeated = await under.second.enrolAgent({ ...enrolment, credentialId: randomUUID() });
      expect(repeated).toMatchObject({ kind: "enrolled", credentialId: enrolment.credentialId, isRepeated: true });
      // Whoever does not know the request's id is somebody else.
      expect(await store.enrolAgent({ ...enrolment, requestId: randomUUID() })).toMatchObject({ kind: "revoked" });
      expect(await store.enrolAgent({ ...enrolment, requestId: null })).toMatchObject({ kind: "revoked" });
    });

    it("gives nobody the id of an agent that is there", async () => {
      const { enrolment } = await enrolled();
      const token = newToken({ maxUses: 9 });
      await store.createJoinToken(token);
      const { agentId } = enrolment;
      expect(await store.enrolAgent(enrolmentOf(token, { agentId }))).toEqual({ kind: "already_known" });
      const local = admissionOf(randomUUID());
      await store.admit([local]);
      const taken = enrolmentOf(token, { agentId: local.identity.agentId });
      expect(await store.enrolAgent(taken)).toEqual({ kind: "already_known" });
      expect((await store.listJoinTokens()).find(({ tokenId }) => tokenId === token.tokenId)?.uses).toBe(0);
    });

    it("admits only with the credential that is good, and only where it belongs", async () => {
      const { hello } = await enrolled({ poolName: "gpu" });
      const { agentId } = hello.identity;
      const [other, moved] = [
        { ...hello, credentialId: randomUUID() },
        { ...hello, identity: { ...hello.identity, poolName: "default" } },
      ];
      expect((await store.admit([other])).refused).toEqual([{ agentId, why: "credential_ended" }]);
      expect((await store.admit([moved])).refused).toMatchObject([
        { agentId, why: "other_scope", scope: { poolName: "gpu", agentType: "desktop" } },
      ]);
      expect((await store.loadAgents([agentId])).agents).toEqual([]);
      // Among others that come at the same moment, each is judged by itself.
      const local = admissionOf(randomUUID());
      const stranger = admissionOf(randomUUID(), { credentialId: randomUUID() });
      const { refused } = await store.admit([local, hello, stranger]);
      expect(refused).toEqual([{ agentId: stranger.identity.agentId, why: "credential_ended" }]);
      const { agents } = await store.loadAgents([agentId, local.identity.agentId, stranger.identity.agentId]);
      expect(agents).toHaveLength(2);
    });

    it("an agent that is removed does not come back with its credential, and may enrol anew", async () => {
      const { hello, enrolment } = await enrolled();
      const { agentId } = hello.identity;
      await store.admit([hello]);
      expect(await store.removeAgent(agentId)).toBe("not_offline");
      expect((await store.admit([hello])).refused).toEqual([]);
      await goOffline(agentId);
      expect(await under.second.removeAgent(agentId)).toBe("removed");
      expect((await store.admit([hello])).refused).toEqual([{ agentId, why: "credential_ended" }]);
      expect(await store.removeAgent(agentId)).toBe("removed_before");
      const token = newToken({ maxUses: 2 });
      await store.createJoinToken(token);
      const anew = enrolmentOf(token, { agentId });
      expect(await store.enrolAgent(anew)).toMatchObject({ kind: "enrolled", isRepeated: false });
      expect(await store.removeAgent(agentId)).toBe("removed");
      expect(await store.enrolAgent(anew)).toMatchObject({ kind: "enrolled", isRepeated: false });
      expect((await store.admit([{ ...hello, credentialId: anew.credentialId }])).refused).toEqual([]);
      expect((await store.admit([{ ...hello, credentialId: enrolment.credentialId }])).refused).toHaveLength(1);
    });

    it("an agent that enrolled and never came can be removed too", async () => {
      const { hello } = await enrolled();
      expect(await store.removeAgent(hello.identity.agentId)).toBe("removed");
      // Nothing of it is left that would tell.
      expect(await store.removeAgent(hello.identity.agentId)).toBe("not_found");
      expect((await store.admit([hello])).refused).toHaveLength(1);
    });

    it("of a removal and a Hello at the same moment one wins, whole", async () => {
      for (let round = 0; round < 12; round += 1) {
        const { hello } = await enrolled();
        const { agentId } = hello.identity;
        await store.admit([hello]);
        await goOffline(agentId);
        const [removed, admitted] = await Promise.all([store.removeAgent(agentId), under.second.admit([hello])]);
        const isIn = admitted.refused.length === 0;
        expect([removed, isIn]).toEqual(isIn ? ["not_offline", true] : ["removed", false]);
        expect((await store.loadAgents([agentId])).agents).toHaveLength(isIn ? 1 : 0);
      }
    });
  });
}
