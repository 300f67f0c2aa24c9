/** The agent program: one desktop. It samples the machine, runs the work it is given, and obeys its owner. */
export { createAgent, type Agent, type AgentState } from "./agent.ts";
export type { AgentOverrides, AgentParts } from "./agent-parts.ts";
export { runAgent } from "./main.ts";
export {
  loadAgentConfig,
  type AgentConfig,
  type AgentConfigInput,
  type AgentKind,
  type AgentTls,
} from "./config/config.ts";
export { agentOptions } from "./config/options.ts";
export { AgentDirInUseError, isAgentRunning } from "./data-dir-lock.ts";
export { CredentialFileError } from "./enrolment/credential-file.ts";
export { identityFileName, IdentityError } from "./identity.ts";
export { ownerHoldFileName } from "./owner-hold.ts";

// Ports, for those that run an agent inside a simulation.
export { grpcConnections, type Connections } from "./connection/open-stream.ts";
export type { AgentHome } from "./home.ts";
export type { Journal, JournalContent, JournalEntry, JournalRecord } from "./journal/journal.ts";
export { journalContent } from "./journal/journal-state.ts";
export { memoryJournal, type MemoryJournal } from "./journal/memory-journal.ts";
export { memoryOutputStores } from "./output/memory-segments.ts";
export type { OutputStores, SegmentStore, StoredChunk } from "./output/segment-store.ts";
export type { Leftover, OutputSink, ProcessRunner, Run, RunEnd, RunExit, RunSpec, RunStart } from "./runner/runner.ts";
export { silentSleepSource, type SleepListener, type SleepSource } from "./sleep/sleep-source.ts";
export type { ListedAttempt, Sampler } from "./sampling/sampler.ts";
