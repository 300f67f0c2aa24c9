/** Every enum of the contract and its words inside. */
import type {
  AgentStatus,
  AgentType,
  AttemptState,
  FleetVerdict,
  GoodbyeReason,
  MissCode,
  PauseReason,
  PlanStatus,
  ReservationState,
  TaskState,
} from "@headroom/scheduling";
import * as wire from "./gen/index.ts";
import { wireEnum } from "./wire-enum.ts";

/** How the processes of an attempt ended, as its agent saw it. */
export type AttemptOutcome =
  | "exited"
  | "signaled"
  | "timed_out"
  | "cancelled"
  | "spawn_failed"
  | "agent_restarted"
  | "lease_expired"
  | "evicted";
/** Which stream of a process; `headroom`: words of Headroom itself. */
export type OutputStream = "stdout" | "stderr" | "headroom";
export type ReservationKind = "attempt" | "hold";
export type RenewOutcome = "renewed" | "not_found" | "stale_fence";
export type ReleaseOutcome = "released" | "not_found" | "stale_fence";

export const agentStatusWire = wireEnum<AgentStatus, wire.AgentStatus>()({
  online: wire.AgentStatus.AGENT_STATUS_ONLINE,
  suspect: wire.AgentStatus.AGENT_STATUS_SUSPECT,
  offline: wire.AgentStatus.AGENT_STATUS_OFFLINE,
  unknown: wire.AgentStatus.AGENT_STATUS_UNKNOWN,
});

/** An agent that does not say what it is for is a desktop. */
export const agentTypeWire = wireEnum<AgentType, wire.AgentType>()(
  {
    desktop: wire.AgentType.AGENT_TYPE_DESKTOP,
    infra: wire.AgentType.AGENT_TYPE_INFRA,
    code: wire.AgentType.AGENT_TYPE_CODE,
    research: wire.AgentType.AGENT_TYPE_RESEARCH,
  },
  { unspecified: "desktop" },
);

export const goodbyeReasonWire = wireEnum<GoodbyeReason, wire.GoodbyeReason>()(
  {
    shutdown: wire.GoodbyeReason.GOODBYE_REASON_SHUTDOWN,
    sleep: wire.GoodbyeReason.GOODBYE_REASON_SLEEP,
    owner: wire.GoodbyeReason.GOODBYE_REASON_OWNER,
    drain: wire.GoodbyeReason.GOODBYE_REASON_DRAIN,
  },
  { unspecified: "shutdown" },
);

export const fleetVerdictWire = wireEnum<FleetVerdict, wire.FleetVerdict>()({
  fits: wire.FleetVerdict.FLEET_VERDICT_FITS,
  not_now: wire.FleetVerdict.FLEET_VERDICT_NOT_NOW,
  never: wire.FleetVerdict.FLEET_VERDICT_NEVER,
  no_agent_online: wire.FleetVerdict.FLEET_VERDICT_NO_AGENT_ONLINE,
});

export const missCodeWire = wireEnum<MissCode, wire.MissCode>()({
  not_online: wire.MissCode.MISS_CODE_NOT_ONLINE,
  not_attached: wire.MissCode.MISS_CODE_NOT_ATTACHED,
  cordoned: wire.MissCode.MISS_CODE_CORDONED,
  draining: wire.MissCode.MISS_CODE_DRAINING,
  owner_hold: wire.MissCode.MISS_CODE_OWNER_HOLD,
  on_probation: wire.MissCode.MISS_CODE_ON_PROBATION,
  avoided: wire.MissCode.MISS_CODE_AVOIDED,
  wrong_pool: wire.MissCode.MISS_CODE_WRONG_POOL,
  wrong_type: wire.MissCode.MISS_CODE_WRONG_TYPE,
  wrong_agent: wire.MissCode.MISS_CODE_WRONG_AGENT,
  labels_mismatch: wire.MissCode.MISS_CODE_LABELS_MISMATCH,
  gpu_model_mismatch: wire.MissCode.MISS_CODE_GPU_MODEL_MISMATCH,
  not_enough_cpu: wire.MissCode.MISS_CODE_NOT_ENOUGH_CPU,
  not_enough_memory: wire.MissCode.MISS_CODE_NOT_ENOUGH_MEMORY,
  not_enough_gpus: wire.MissCode.MISS_CODE_NOT_ENOUGH_GPUS,
  not_enough_vram: wire.MissCode.MISS_CODE_NOT_ENOUGH_VRAM,
  card_not_exclusive: wire.MissCode.MISS_CODE_CARD_NOT_EXCLUSIVE,
});

export const reservationStateWire = wireEnum<ReservationState, wire.ReservationState>()({
  unconfirmed: wire.ReservationState.RESERVATION_STATE_UNCONFIRMED,
  confirmed: wire.ReservationState.RESERVATION_STATE_CONFIRMED,
  adopted: wire.ReservationState.RESERVATION_STATE_ADOPTED,
  hold: wire.ReservationState.RESERVATION_STATE_HOLD,
  released: wire.ReservationState.RESERVATION_STATE_RELEASED,
});

/** What is not said is an attempt. */
export const reservationKindWire = wireEnum<ReservationKind, wire.ReservationKind>()(
  {
    attempt: wire.ReservationKind.RESERVATION_KIND_ATTEMPT,
    hold: wire.ReservationKind.RESERVATION_KIND_HOLD,
  },
  { unspecified: "attempt" },
);

export const renewOutcomeWire = wireEnum<RenewOutcome, wire.RenewOutcome>()({
  renewed: wire.RenewOutcome.RENEW_OUTCOME_RENEWED,
  not_found: wire.RenewOutcome.RENEW_OUTCOME_NOT_FOUND,
  stale_fence: wire.RenewOutcome.RENEW_OUTCOME_STALE_FENCE,
});

export const releaseOutcomeWire = wireEnum<ReleaseOutcome, wire.ReleaseOutcome>()({
  released: wire.ReleaseOutcome.RELEASE_OUTCOME_RELEASED,
  not_found: wire.ReleaseOutcome.RELEASE_OUTCOME_NOT_FOUND,
  stale_fence: wire.ReleaseOutcome.RELEASE_OUTCOME_STALE_FENCE,
});

export const planStatusWire = wireEnum<PlanStatus, wire.PlanStatus>()({
  dispatched: wire.PlanStatus.PLAN_STATUS_DISPATCHED,
  partly_paused: wire.PlanStatus.PLAN_STATUS_PARTLY_PAUSED,
  paused: wire.PlanStatus.PLAN_STATUS_PAUSED,
  succeeded: wire.PlanStatus.PLAN_STATUS_SUCCEEDED,
  failed: wire.PlanStatus.PLAN_STATUS_FAILED,
  cancelled: wire.PlanStatus.PLAN_STATUS_CANCELLED,
});

export const taskStateWire = wireEnum<TaskState, wire.TaskState>()({
  pending: wire.TaskState.TASK_STATE_PENDING,
  paused: wire.TaskState.TASK_STATE_PAUSED,
  reserved: wire.TaskState.TASK_STATE_RESERVED,
  assigned: wire.TaskState.TASK_STATE_ASSIGNED,
  running: wire.TaskState.TASK_STATE_RUNNING,
  succeeded: wire.TaskState.TASK_STATE_SUCCEEDED,
  failed: wire.TaskState.TASK_STATE_FAILED,
  cancelled: wire.TaskState.TASK_STATE_CANCELLED,
  lost: wire.TaskState.TASK_STATE_LOST,
});

export const pauseReasonWire = wireEnum<PauseReason, wire.PauseReason>()({
  FLEET_BELOW_THRESHOLD: wire.PauseReason.PAUSE_REASON_FLEET_BELOW_THRESHOLD,
  NO_AGENT_ONLINE: wire.PauseReason.PAUSE_REASON_NO_AGENT_ONLINE,
  REGISTRY_UNAVAILABLE: wire.PauseReason.PAUSE_REASON_REGISTRY_UNAVAILABLE,
  HELD: wire.PauseReason.PAUSE_REASON_HELD,
  DEPENDENCY_PENDING: wire.PauseReason.PAUSE_REASON_DEPENDENCY_PENDING,
  NO_AGENT_FITS_NOW: wire.PauseReason.PAUSE_REASON_NO_AGENT_FITS_NOW,
  AGENT_NOT_ATTACHED: wire.PauseReason.PAUSE_REASON_AGENT_NOT_ATTACHED,
  ALL_CORDONED: wire.PauseReason.PAUSE_REASON_ALL_CORDONED,
  NO_AGENT_CAN_EVER_FIT: wire.PauseReason.PAUSE_REASON_NO_AGENT_CAN_EVER_FIT,
  RESUME_AFTER: wire.PauseReason.PAUSE_REASON_RESUME_AFTER,
  RETRY_BACKOFF: wire.PauseReason.PAUSE_REASON_RETRY_BACKOFF,
  DELIVERY_FAILED: wire.PauseReason.PAUSE_REASON_DELIVERY_FAILED,
  AWAITING_TURN: wire.PauseReason.PAUSE_REASON_AWAITING_TURN,
});

export const attemptStateWire = wireEnum<AttemptState, wire.AttemptState>()({
  assigned: wire.AttemptState.ATTEMPT_STATE_ASSIGNED,
  running: wire.AttemptState.ATTEMPT_STATE_RUNNING,
  succeeded: wire.AttemptState.ATTEMPT_STATE_SUCCEEDED,
  failed: wire.AttemptState.ATTEMPT_STATE_FAILED,
  cancelled: wire.AttemptState.ATTEMPT_STATE_CANCELLED,
  lost: wire.AttemptState.ATTEMPT_STATE_LOST,
  undelivered: wire.AttemptState.ATTEMPT_STATE_UNDELIVERED,
});

export const attemptOutcomeWire = wireEnum<AttemptOutcome, wire.AttemptOutcome>()({
  exited: wire.AttemptOutcome.ATTEMPT_OUTCOME_EXITED,
  signaled: wire.AttemptOutcome.ATTEMPT_OUTCOME_SIGNALED,
  timed_out: wire.AttemptOutcome.ATTEMPT_OUTCOME_TIMED_OUT,
  cancelled: wire.AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED,
  spawn_failed: wire.AttemptOutcome.ATTEMPT_OUTCOME_SPAWN_FAILED,
  agent_restarted: wire.AttemptOutcome.ATTEMPT_OUTCOME_AGENT_RESTARTED,
  lease_expired: wire.AttemptOutcome.ATTEMPT_OUTCOME_LEASE_EXPIRED,
  evicted: wire.AttemptOutcome.ATTEMPT_OUTCOME_EVICTED,
});

export const outputStreamWire = wireEnum<OutputStream, wire.OutputStream>()({
  stdout: wire.OutputStream.OUTPUT_STREAM_STDOUT,
  stderr: wire.OutputStream.OUTPUT_STREAM_STDERR,
  headroom: wire.OutputStream.OUTPUT_STREAM_HEADROOM,
});
