/** The client library: what a WorkPlanner program links. */
export {
  createHeadroomClient,
  type HeadroomClient,
  type HeadroomClientOptions,
  type HeadroomClientPorts,
} from "./client.ts";
export { type CapacityClient } from "./capacity.ts";
export { type FleetClient } from "./fleet.ts";
export {
  type DispatchSettings,
  type HoldInput,
  isPlanFinished,
  type PlansClient,
  type ReleaseInput,
  type RetrySettings,
} from "./plans.ts";
export { type TasksClient } from "./tasks.ts";
export { type QueueClient } from "./queue.ts";
export { type Channels, type ServiceName } from "./channels.ts";
export { attempt, type ClientError, type ClientErrorKind, type Result, toClientError } from "./result.ts";
export { type WatchItem } from "./watch-stream.ts";
export { type CallSettings, type DeepPartial, type NeedsInput, type PlanInput } from "./types.ts";
export {
  type Connection,
  type ConnectionOptions,
  connectionSettings,
  resolveConnection,
  type TokenSource,
} from "./connection-settings.ts";
export { type Endpoints, endpointsFile, readEndpoints } from "./endpoints.ts";
/** Messages and enums of the contract, as plain objects. */
export { wire } from "@headroom/contracts";
