import type { Ports } from "@headroom/runtime";
import type { HeadroomError } from "@headroom/rpc";
import type { Acceptor } from "../accept/acceptor.ts";
import type { ChangeHub } from "../events/change-hub.ts";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import type { QueueCounter } from "../operate/queue-counter.ts";
import type { QueueHoldView } from "../operate/queue-hold-view.ts";
import type { Gate } from "../placing/gate.ts";
import type { Releaser } from "../placing/placer.ts";
import type { RegistryPort } from "../registry/port.ts";
import type { ResumeLoop } from "../resume/resume-loop.ts";
import type { Resumer } from "../resume/resumer.ts";
import type { OrchestratorStore } from "../store/port.ts";
import type { AgentMessages } from "../work/agent-messages.ts";
import type { Sessions } from "../work/sessions.ts";
import type { Settle } from "../work/settlement.ts";
import type { AvoidedAgents } from "../placing/avoided-agents.ts";
import type { KeptRoom } from "../placing/kept-room.ts";

/** What handlers act on. */
export interface HandlerDeps {
  /** This replica. */
  readonly instance: string;
  readonly ports: Ports;
  readonly store: OrchestratorStore;
  readonly acceptor: Acceptor;
  readonly gate: Gate;
  readonly fleet: FleetView;
  readonly registry: RegistryPort;
  readonly resumer: Resumer;
  readonly loop: ResumeLoop;
  readonly queueHold: QueueHoldView;
  readonly counter: QueueCounter;
  readonly hub: ChangeHub;
  readonly sessions: Sessions;
  readonly messages: AgentMessages;
  readonly avoided: AvoidedAgents;
  readonly kept: KeptRoom;
  readonly releaser: Releaser;
  readonly settle: Settle;
  readonly pollingIntervalMs: number;
  /** Ageing: what a point of priority is worth in time of waiting. */
  readonly pointMs: number;
  /** How long tasks of a plan of this name took before. */
  readonly expectDurations: (planName: string) => Promise<(taskName: string) => number | null>;
  readonly mapError: (error: unknown) => HeadroomError | null;
}
