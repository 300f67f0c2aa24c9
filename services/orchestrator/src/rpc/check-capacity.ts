import { needsFromWire, pauseReasonWire, wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { gateSentence, logDecision } from "../placing/gate.ts";
import type { HandlerDeps } from "./deps.ts";

const maxAgents = 1_000;

/** Whether work would be paused now, with the figures that decide it (R-PAUSE-1..3). */
export function checkCapacity({
  gate,
}: HandlerDeps): UnaryHandler<wire.CheckCapacityRequest, wire.CheckCapacityResponse> {
  return (request, context) => {
    const needs = request.needs === undefined ? null : needsFromWire(request.needs);
    const answer = gate.ask(needs);
    logDecision(context.logger, answer, needs === null ? "anything" : needs.gpuCount > 0 ? "gpu" : "cpu", 0);
    const { verdict } = answer;
    return Promise.resolve(
      wire.CheckCapacityResponse.fromPartial({
        shouldPause: answer.kind === "held",
        reason: answer.kind === "held" ? pauseReasonWire.toWire(answer.reason) : 0,
        threshold: gate.threshold,
        agentsOnline: verdict?.agentsOnline ?? 0,
        averageCpuFreePercent: verdict?.averageCpuFreePercent ?? 0,
        averageGpuFreePercent: verdict?.averageGpuFreePercent ?? undefined,
        agents: gate
          .perAgent(needs)
          .slice(0, maxAgents)
          .map((agent) => ({
            agentId: agent.agentId,
            below: agent.below,
            cpuFreePercent: agent.cpuFreePercent,
            gpuFreePercent: agent.gpuFreePercent ?? undefined,
          })),
        sentence: answer.kind === "held" ? answer.sentence : gateSentence(answer.verdict, needs),
      }),
    );
  };
}
