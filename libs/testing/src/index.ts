// What tests of every part share, and nothing that knows a domain object.

export { type Balancer, startBalancer } from "./balancer.ts";
export { type Cable, startCable } from "./cable.ts";
export { type CertificateOptions, writeCertificates } from "./certificates.ts";
export { captureLogger, type CapturedRecord, type CapturingLogger } from "./capture-logger.ts";
export { ManualClock, type ManualPorts, manualPorts, ManualTimers } from "./manual-ports.ts";
export { SeededRandom } from "./seeded-random.ts";
export { makeTempDir, type TempDir } from "./temp-dir.ts";
export { createTestDatabase, type TestDatabase } from "./test-database.ts";
export { type PrivatePostgres, sharedProgramsDir, startPrivatePostgres } from "./private-postgres.ts";
export { spawnScript, type SpawnedScript } from "./spawn-script.ts";
export { waitFor, type WaitForOptions } from "./wait-for.ts";
