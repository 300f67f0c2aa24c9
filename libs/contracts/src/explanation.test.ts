import { agentView, explain, normalizeNeeds, type AgentFacts, type Needs } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { explanationFromWire, explanationToWire } from "./explanation.ts";
import * as wire from "./gen/index.ts";

const GIB = 1024;

const agent = (agentId: string, fields: Partial<AgentFacts> = {}): AgentFacts => ({
  agentId,
  agentType: "desktop",
  poolName: "default",
  labels: {},
  status: "online",
  attached: true,
  cordoned: false,
  draining: false,
  ownerHold: false,
  sample: {
    sampledAtMs: 1,
    cpu: { total: 4000, available: 3000, offer: 4000, declared: false },
    cpuLoadPercent: 0,
    memory: { total: 16 * GIB, available: 8 * GIB, offer: 16 * GIB, declared: false },
    cards: [],
    attempts: [],
  },
  reservations: [],
  ...fields,
});

const roomy = { ...agent("b").sample!, cpu: { total: 4000, available: 4000, offer: 4000, declared: false } };

function told(agents: readonly AgentFacts[], needs: Needs) {
  const explanation = explain(agents.map(agentView), needs);
  const message = explanationToWire(explanation, (agentId) => ({
    hostname: `host-${agentId}`,
    status: agents.find((each) => each.agentId === agentId)!.status,
  }));
  const read = explanationFromWire(wire.CapacityExplanation.decode(wire.CapacityExplanation.encode(message).finish()));
  if (read.kind === "invalid") throw new Error(`${read.field} ${read.description}`);
  return { explanation, value: read.value };
}

describe("explanation", () => {
  it("tells the nearest miss in cores and GiB", () => {
    const { value } = told([agent("a"), agent("b", { status: "offline" })], normalizeNeeds({ memoryMib: 9 * GIB }));
    expect(value).toMatchObject({ verdict: "not_now", agentsJudged: 2, reason: "NO_AGENT_FITS_NOW" });
    expect(value.agents[0]).toMatchObject({ agentId: "a", hostname: "host-a", status: "online", fits: false });
    const [miss] = value.agents[0]!.misses;
    expect(miss).toMatchObject({
      code: "not_enough_memory",
      never: false,
      needed: 9,
      free: 8,
      total: 16,
      cardId: null,
    });
    expect(value.agents[1]).toMatchObject({ status: "offline" });
  });

  it.each<[string, readonly AgentFacts[], Needs]>([
    ["fits", [agent("a")], normalizeNeeds({})],
    ["no agent online", [agent("a", { status: "suspect" })], normalizeNeeds({})],
    ["never", [agent("a")], normalizeNeeds({ cpuMillicores: 64_000 })],
    ["not attached", [agent("a", { attached: false }), agent("b", { ownerHold: true })], normalizeNeeds({})],
    ["cordoned", [agent("a", { cordoned: true })], normalizeNeeds({})],
    ["not now", [agent("a")], normalizeNeeds({ cpuMillicores: 3_500 })],
  ])("gives the reader the registry's own reason: %s", (_name, agents, needs) => {
    const { explanation, value } = told(agents, needs);
    expect(value.reason).toBe(explanation.reason);
    expect(value.verdict).toBe(explanation.verdict);
    expect(value.sentence).toBe(explanation.sentence);
  });

  it("gives the registry's reason though the agent that it is about is not listed; an older registry's is read from the list", () => {
    const needs = normalizeNeeds({ cpuMillicores: 3_500 });
    const views = [agent("a"), agent("b", { attached: false, sample: roomy })].map(agentView);
    const explanation = explain(views, needs, {}, 1);
    expect(explanation.agents.map(({ agentId }) => agentId)).toEqual(["a"]);
    const message = explanationToWire(explanation, () => ({ hostname: "", status: "online" }));
    expect(message.reason).toBe("AGENT_NOT_ATTACHED");
    expect(explanationFromWire(message)).toMatchObject({ value: { reason: "AGENT_NOT_ATTACHED" } });
    expect(explanationFromWire({ ...message, reason: "" })).toMatchObject({ value: { reason: "NO_AGENT_FITS_NOW" } });
  });

  it("shows an agent that has left as offline", () => {
    const message = explanationToWire(explain([agentView(agent("a"))], normalizeNeeds({})), () => undefined);
    expect(message.agents[0]).toMatchObject({ status: wire.AgentStatus.AGENT_STATUS_OFFLINE, fits: true });
  });

  it("names the verdict that it does not know", () => {
    expect(explanationFromWire(wire.CapacityExplanation.fromPartial({}))).toMatchObject({
      kind: "invalid",
      field: "explanation.verdict",
    });
  });
});
