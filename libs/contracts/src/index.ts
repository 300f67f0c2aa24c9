/** All generated types, codecs and service definitions. */
export * as wire from "./gen/index.ts";
export { DESCRIPTOR_SET_BASE64 } from "./gen/descriptor-set.ts";

export {
  descriptorRegistry,
  descriptorSetBytes,
  methodContracts,
  methodOptions,
  type MethodAccess,
  type MethodContract,
  type MethodIdempotency,
  type MethodStreaming,
} from "./descriptors.ts";
export type { HttpRule, HttpVerb } from "./http-rule.ts";

export type { FromWire, InvalidWire } from "./from-wire.ts";
export {
  durationFromMs,
  durationFromMsOrNull,
  msFromDuration,
  msFromTimestamp,
  timestampFromMs,
  timestampFromMsOrNull,
} from "./time.ts";
export {
  coresFromMillicores,
  gbFromMib,
  MAX_UNITS,
  mibFromGb,
  mibFromGbAtMost,
  mibFromGbRequested,
  millicoresFromCores,
  millicoresFromCoresAtMost,
  millicoresFromCoresRequested,
} from "./units.ts";
export {
  agentStatusWire,
  agentTypeWire,
  attemptOutcomeWire,
  attemptStateWire,
  fleetVerdictWire,
  goodbyeReasonWire,
  missCodeWire,
  outputStreamWire,
  pauseReasonWire,
  planStatusWire,
  releaseOutcomeWire,
  renewOutcomeWire,
  reservationKindWire,
  reservationStateWire,
  taskStateWire,
  type AttemptOutcome,
  type OutputStream,
  type ReleaseOutcome,
  type RenewOutcome,
  type ReservationKind,
} from "./enums.ts";
export type { WireEnum } from "./wire-enum.ts";
export { needsFromWire, needsToWire } from "./needs.ts";
export { amountsFromWire, amountsToWire } from "./amounts.ts";
export { sampleFromWire, sampleToWire } from "./sample.ts";
export { attemptUseFromWire, attemptUseToWire } from "./attempt-use.ts";
export { agentCapacityToWire, getAgentCapacityResponse, type CapacityExtras } from "./capacity.ts";
export {
  agentCapacityFromWire,
  gateAgentFromFigures,
  type AgentCapacityFigures,
  type CapacityFigure,
  type CardFigures,
} from "./capacity-figures.ts";
export {
  explanationFromWire,
  explanationToWire,
  type ExplainedAgent,
  type ToldExplanation,
  type ToldMiss,
  type ToldVerdict,
} from "./explanation.ts";
export {
  reservationFromWire,
  reservationToWire,
  reserveFromWire,
  reserveResultFromWire,
  type ReservationTimes,
  type ReserveOutcome,
  type ReserveRequest,
  type ToldReservation,
} from "./reservation.ts";
export { commandFromWire, commandToWire, type Command } from "./command.ts";
export { encoderOf } from "./encoder-of.ts";
export { enumNumberOf, enumWords } from "./enum-words.ts";
export { messageToJson } from "./json-write.ts";
export { jsonToMessageBytes, type JsonMessage, type JsonViolation } from "./json-read.ts";
