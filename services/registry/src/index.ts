export { registryConfig, type RegistryConfig } from "./config.ts";
export { createRegistry, type Registry, type RegistryOverrides } from "./context.ts";
export { runRegistry, type RunRegistryOptions } from "./main.ts";
export type { Enrolment, EnrolmentOutcome, EnrolmentStore, JoinToken, NewJoinToken } from "./store/enrolment-store.ts";
export {
  type Admission,
  type BeatWrite,
  type CommitResult,
  type KeptMix,
  type KeptShape,
  type RefusedAdmission,
  type RegistryStore,
  type ReservationCommit,
  type ReservationWrite,
  type StatusWrite,
  StoreUnavailableError,
} from "./store/registry-store.ts";
export type { AgentIdentity, StoredAgent, StoredReservation } from "./store/stored-agent.ts";
export { createPostgresStore } from "./store/postgres/postgres-store.ts";
export { REGISTRY_SCHEMA, registryMigrations } from "./store/postgres/migrations.ts";
