import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createAgentCredentials, createSealed, createTokenAuth, requireOwnId } from "../index.ts";

const secret = "the-secret-of-one-headroom";
const agentId = "11111111-1111-4111-8111-111111111111";
const credentialId = "22222222-2222-4222-8222-222222222222";
const good = createAgentCredentials(secret).write({ agentId, credentialId });

describe("an agent's credential", () => {
  it("DESIGN-6: says whose it is to whoever knows the secret, and fits an authorization header", () => {
    expect(createAgentCredentials(secret).read(good)).toEqual({ agentId, credentialId });
    expect(good).toMatch(/^hrc1\.[\w.-]+$/);
    expect(good.length).toBeLessThan(160);
  });

  it("any change of a text, another secret and another purpose make it worthless", () => {
    const credentials = createAgentCredentials(secret);
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.constantFrom("0", "a", "Z", ".", "-", "\u00e9"), (at, letter) => {
        const changed = good.slice(0, at) + letter + good.slice(at + 1);
        expect(credentials.read(changed)).toEqual(changed === good ? { agentId, credentialId } : null);
      }),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(credentials.read(text)).toBeNull();
      }),
    );
    expect(createAgentCredentials("another-secret-entirely").read(good)).toBeNull();
    const other = createSealed({ prefix: "hrc1", purpose: "something else", secret, ids: 2 });
    expect(other.read(good)).toBeNull();
    expect(other.read(other.write([agentId, credentialId]))).toEqual([agentId, credentialId]);
    expect(credentials.read(`${good}${"x".repeat(10_000)}`)).toBeNull();
  });
});

describe("who may speak for agents", () => {
  const policy = createTokenAuth({ token: secret });
  const ask = (authorization: string, access: "agent" | "planner" | "operator" | "open", peer: string) =>
    policy.authorize({ method: "x.Y/Z", access, authorization, peer });

  it("DESIGN-6: a credential holds the role of an agent and no other, wherever it comes from", async () => {
    for (const peer of ["127.0.0.1:5000", "10.0.0.7:5000"]) {
      const caller = await ask(`Bearer ${good}`, "agent", peer);
      expect(caller).toEqual({ roles: new Set(["agent"]), peer, agent: { agentId, credentialId } });
    }
    const forged = `Bearer ${good.slice(0, -4)}AAAA`;
    expect(() => ask(forged, "open", "10.0.0.7:5000")).toThrow(
      expect.objectContaining({ code: "UNAUTHENTICATED", reason: "CREDENTIAL_INVALID" }),
    );
    expect(() => ask(forged, "agent", "127.0.0.1:1")).toThrow("headroom agent --join TOKEN");
  });

  it("DESIGN-4: the token speaks for agents on this machine only; elsewhere an agent enrols", async () => {
    for (const peer of ["127.0.0.1:5000", "::1:5000", "::ffff:127.0.0.1:5000", "[::1]:5000"])
      expect((await ask(`Bearer ${secret}`, "agent", peer)).roles).toContain("agent");
    for (const peer of ["10.0.0.7:5000", "fe80::1:5000", "unknown", "127.0.0.1.example.com:1", "::"]) {
      expect(() => ask(`Bearer ${secret}`, "agent", peer)).toThrow(
        expect.objectContaining({ code: "PERMISSION_DENIED", reason: "ENROLMENT_REQUIRED" }),
      );
      expect((await ask(`Bearer ${secret}`, "operator", peer)).roles).toEqual(new Set(["planner", "operator"]));
    }
  });

  it("DESIGN-6: an agent speaks only for itself; the token of this machine for any", () => {
    const caller = { roles: new Set(["agent"] as const), peer: "p", agent: { agentId, credentialId } };
    expect(() => requireOwnId(caller, agentId.toUpperCase())).not.toThrow();
    expect(() => requireOwnId(caller, credentialId)).toThrow(
      expect.objectContaining({ code: "PERMISSION_DENIED", reason: "AGENT_ID_MISMATCH" }),
    );
    expect(() => requireOwnId({ roles: new Set(["agent"]), peer: "p" }, credentialId)).not.toThrow();
  });
});
