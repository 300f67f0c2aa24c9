import { wire } from "@headroom/contracts";
import {
  bindService,
  createRpcServer,
  createTokenAuth,
  HeadroomError,
  type Implementation,
  type RpcServer,
  type ServiceDefinition,
  unimplemented,
} from "@headroom/rpc";
import { formatHostPort, silentLogger, systemPorts } from "@headroom/runtime";

export const fakeToken = "token-of-the-fake-services";

export interface Fakes {
  readonly capacity?: Partial<Implementation<typeof wire.CapacityServiceService>>;
  readonly fleet?: Partial<Implementation<typeof wire.FleetServiceService>>;
  readonly plans?: Partial<Implementation<typeof wire.PlanServiceService>>;
  readonly queue?: Partial<Implementation<typeof wire.PauseQueueServiceService>>;
}

export interface FakeServices {
  /** HOST:PORT of a server that plays both registry and orchestrator. */
  readonly address: string;
  stop(): Promise<void>;
}

/** Both services on one real socket; what is not given answers UNIMPLEMENTED. */
export async function startFakeServices(fakes: Fakes, grpc = "127.0.0.1:0"): Promise<FakeServices> {
  const server: RpcServer = createRpcServer({
    name: "fake",
    ports: systemPorts,
    logger: silentLogger,
    listen: { grpc },
    auth: createTokenAuth({ token: fakeToken }),
    drainMs: 100,
    services: [
      bindService(wire.CapacityServiceService, complete(wire.CapacityServiceService, fakes.capacity)),
      bindService(wire.FleetServiceService, complete(wire.FleetServiceService, fakes.fleet)),
      bindService(wire.PlanServiceService, complete(wire.PlanServiceService, fakes.plans)),
      bindService(wire.PauseQueueServiceService, complete(wire.PauseQueueServiceService, fakes.queue)),
    ],
  });
  await server.start();
  if (server.address === null) throw new Error("the fake services do not listen");
  return { address: formatHostPort(server.address), stop: () => server.stop() };
}

function complete<D extends ServiceDefinition>(
  definition: D,
  given: Partial<Implementation<D>> = {},
): Implementation<D> {
  const missing = Object.entries(definition).map(([name, { responseStream }]) => [
    name,
    // eslint-disable-next-line require-yield
    responseStream ? async function* (): AsyncGenerator<never> { throw unimplemented(name); } : () => Promise.reject(unimplemented(name)),
  ]); // prettier-ignore
  // Every method of the definition is there: the test's own, else one that answers UNIMPLEMENTED.
  return { ...Object.fromEntries(missing), ...given } as Implementation<D>;
}

/** UNAVAILABLE, as a service that restarts. */
export function away(): HeadroomError {
  return new HeadroomError({ code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE", message: "away", retryAfterMs: 20 });
}
