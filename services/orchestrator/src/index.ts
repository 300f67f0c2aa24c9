export { orchestratorConfig, type OrchestratorConfig } from "./config.ts";
export { createOrchestrator, type Orchestrator, type OrchestratorOverrides } from "./context.ts";
export { runOrchestrator, type RunOrchestratorOptions } from "./main.ts";
export type {
  CapacityAnswer,
  FleetChange,
  FleetRevision,
  RegistryPort,
  RenewResult,
  ReserveAnswer,
} from "./registry/port.ts";
export * from "./store/port.ts";
export type * from "./store/model.ts";
export { orchestratorMigrations } from "./store/postgres/migrations/index.ts";
export { createGrpcRegistry } from "./registry/grpc-registry.ts";
export { createPostgresStore } from "./store/postgres/store.ts";
export { orchestratorSchema } from "./store/open-store.ts";
