import { descriptorRegistry, enumWords, messageToJson, msFromTimestamp, wire } from "@headroom/contracts";

/** The enums of the contract that are printed, by the short name of their type. */
const enumTypes = {
  AgentStatus: "headroom.common.v1.AgentStatus",
  AgentType: "headroom.common.v1.AgentType",
  FleetVerdict: "headroom.common.v1.FleetVerdict",
  AttemptState: "headroom.orchestrator.v1.AttemptState",
  PauseReason: "headroom.orchestrator.v1.PauseReason",
  PlanStatus: "headroom.orchestrator.v1.PlanStatus",
  TaskState: "headroom.orchestrator.v1.TaskState",
} as const;

export type EnumName = keyof typeof enumTypes;

/** The word of a value as JSON has it: `partly_paused`. Empty for UNSPECIFIED; the number for one that is not known here. */
export function word(name: EnumName, value: number): string {
  if (value === 0) return "";
  const type = descriptorRegistry().getEnum(enumTypes[name]);
  const index = type?.values.findIndex((candidate) => candidate.number === value) ?? -1;
  return type === undefined || index < 0 ? String(value) : (enumWords(type)[index] ?? String(value));
}

/** The words that an option accepts. */
export function wordsOf(name: EnumName): readonly string[] {
  const type = descriptorRegistry().getEnum(enumTypes[name]);
  return type === undefined ? [] : enumWords(type).filter((candidate) => candidate !== "unspecified");
}

/** Short name of a message to its type; these are what commands print as JSON. */
const packages = {
  registry: "headroom.registry.v1",
  orchestrator: "headroom.orchestrator.v1",
} as const;

/** A message as REST prints it. */
export function jsonOf(service: keyof typeof packages, message: string, value: object): object {
  return messageToJson(`${packages[service]}.${message}`, value);
}

/** Epoch milliseconds; null when absent. */
export function timeOf(timestamp: wire.Timestamp | undefined): number | null {
  return msFromTimestamp(timestamp);
}
