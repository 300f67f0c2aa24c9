import { type Logger, type Ports, silentLogger, systemPorts } from "@headroom/runtime";
import { type CapacityClient, createCapacityClient } from "./capacity.ts";
import { type Channels, createChannels } from "./channels.ts";
import type { ClientContext } from "./caller.ts";
import { type Connection, type ConnectionOptions, resolveConnection } from "./connection-settings.ts";
import { createFleetClient, type FleetClient } from "./fleet.ts";
import { createPlansClient, type PlansClient } from "./plans.ts";
import { createQueueClient, type QueueClient } from "./queue.ts";
import { createTasksClient, type TasksClient } from "./tasks.ts";

export interface HeadroomClientOptions extends ConnectionOptions {
  /** Time a call may take in all, retries included, unless it says otherwise. Default 10,000 ms. */
  readonly timeoutMs?: number;
  /** Name of the program for the services' logs. Default "headroom-client". */
  readonly userAgent?: string;
}

/** What of the outside world is taken from elsewhere: tests and simulations give their own. */
export interface HeadroomClientPorts {
  readonly ports?: Ports;
  readonly logger?: Logger;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Both services as one typed client. Calls answer `{ kind: "ok", value }` or `{ kind: "error", error }` and never reject. */
export interface HeadroomClient {
  readonly capacity: CapacityClient;
  readonly fleet: FleetClient;
  readonly plans: PlansClient;
  readonly tasks: TasksClient;
  readonly queue: QueueClient;
  /** Where it looks for the services, and for the token. */
  readonly connection: Connection;
  /** For calls that this client has no method for. */
  readonly channels: Channels;
  /** Ends the connections; calls in progress end with `cancelled`. Idempotent. */
  close(): void;
}

const defaultTimeoutMs = 10_000;

/**
 * The client of a Headroom. Without options it finds the services of this machine by itself (see `resolveConnection`). It connects at
 * the first call, reconnects by itself, and repeats calls that are safe to repeat when a service is away for a moment.
 * Throws ConfigError when an address is written wrong; everything else is told by the calls.
 *
 *     const headroom = createHeadroomClient();
 *     const answer = await headroom.capacity.listAvailable({ minGpuVramGb: 8 });
 *     if (answer.kind === "ok") console.log(answer.value.agents[0]?.agentId ?? "no agent has 8 GiB of VRAM free");
 *     headroom.close();
 */
export function createHeadroomClient(
  options: HeadroomClientOptions = {},
  outside: HeadroomClientPorts = {},
): HeadroomClient {
  const connection = resolveConnection(options, outside.env);
  const ports = outside.ports ?? systemPorts;
  const logger = outside.logger ?? silentLogger;
  const channels = createChannels({
    connection,
    ports,
    logger,
    userAgent: options.userAgent ?? "headroom-client",
  });
  const context: ClientContext = { channels, ports, logger, timeoutMs: options.timeoutMs ?? defaultTimeoutMs };
  return {
    capacity: createCapacityClient(context),
    fleet: createFleetClient(context),
    plans: createPlansClient(context),
    tasks: createTasksClient(context),
    queue: createQueueClient(context),
    connection,
    channels,
    close: () => channels.close(),
  };
}
