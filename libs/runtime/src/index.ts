/**
 * The lowest library: the ports of the outside world (time, timers, randomness), and what every program of
 * Headroom needs to start, run, say what it does and stop. It imports nothing else of Headroom.
 */
export {
  createClock,
  createSuspendMeter,
  systemClock,
  systemSuspendMeter,
  type Clock,
  type ClockSources,
  type SuspendMeter,
} from "./clock.ts";
export { sleep, systemTimers, withTimeout, type Timer, type TimerOptions, type Timers } from "./timers.ts";
export { jitter, systemRandom, type Random } from "./random.ts";
export { systemPorts, type Ports } from "./ports.ts";

export {
  lifecycle,
  ServiceGroup,
  startAbortably,
  StoppedError,
  type LifecycleOptions,
  type LifecycleState,
  type ManagedService,
  type Service,
} from "./lifecycle.ts";
export { RunLoop, type RunCause, type RunLoopOptions } from "./run-loop.ts";
export { endProcess, keepingThread } from "./end-process.ts";
export { errorCode } from "./error-code.ts";
export { runProgram, type ProgramOptions } from "./run-program.ts";
export {
  runUntilSignal,
  signalEchoMs,
  type ProcessPort,
  type RunUntilSignalOptions,
  type StopSignal,
} from "./signals.ts";

export { option, type ListItem, type Option, type OptionSpec, type HostPort, formatHostPort } from "./config-option.ts";
export {
  ConfigError,
  defineConfig,
  loadConfig,
  loadConfigOrThrow,
  type ConfigInput,
  type ConfigProblem,
  type ConfigSchema,
  type ConfigSource,
  type ConfigValues,
  type LoadedConfig,
  type LoadResult,
} from "./config.ts";
export {
  configHelp,
  describeConfig,
  describeOptions,
  type OptionDescription,
  type SettingDescription,
} from "./config-describe.ts";

export { createLogger, silentLogger, type LoggerOptions, type RootLogger } from "./logger.ts";
export { logLevels, type LogFields, type Logger, type LogLevel } from "./logger-types.ts";
export { redactFields, redactText } from "./redact.ts";
export {
  createMetrics,
  type Counter,
  type Gauge,
  type Histogram,
  type Metrics,
  type MetricsOptions,
} from "./metrics.ts";

export { Gathered, type GatheredOptions } from "./gathered.ts";
export { Grouped, type GroupedOptions } from "./grouped.ts";

export {
  BoundedQueue,
  Broadcast,
  createDeferred,
  createSignal,
  LaggedError,
  OverloadedError,
  Semaphore,
  type BoundedQueueOptions,
  type BroadcastOptions,
  type Deferred,
  type WhenFull,
  type WakeSignal,
} from "./backpressure.ts";

export {
  appendDurable,
  ensureDir,
  openDurableLog,
  writeFileAtomic,
  type DurableLog,
  type WriteFileOptions,
} from "./atomic-file.ts";
export { cutOpenFile } from "./cut-open-file.ts";
export { nextTurn } from "./next-turn.ts";
export { Outage } from "./outage.ts";
export { readJsonFile, readJsonLines, writeJsonFile, type JsonFile, type JsonLines } from "./json-file.ts";
export { makeFolders } from "./make-folders.ts";
export {
  lockOwner,
  ownerInWords,
  takeOwnerLock,
  type LockOwner,
  type OwnerLock,
  type OwnerLockOptions,
  type OwnerLockResult,
} from "./owner-lock.ts";
export {
  hasEnded,
  isOnOneKernel,
  placeInWords,
  placeRelation,
  readOwnerPlace,
  type OwnerPlace,
} from "./owner-lock-place.ts";
export { isDiskFull } from "./disk-full.ts";
export { isSameProcess, processStartTime } from "./process-identity.ts";
export { dataPaths, defaultDataDir, type DataPaths } from "./home.ts";
