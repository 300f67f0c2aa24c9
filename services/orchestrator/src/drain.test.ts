import { type RpcServer, socketNetwork } from "@headroom/rpc";
import { createDeferred, loadConfigOrThrow } from "@headroom/runtime";
import { captureLogger, makeTempDir, manualPorts, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import { orchestratorConfig } from "./config.ts";
import { createOrchestrator } from "./context.ts";
import type { RegistryPort } from "./registry/port.ts";
import type { OrchestratorStore } from "./store/port.ts";

let dir: TempDir;
beforeEach(async () => {
  dir = await makeTempDir("drain");
});
afterEach(() => dir.remove());

const nothing: AsyncIterable<never> = {
  [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }),
};

/** Answers these, and to all else that it is away. */
function awayBut<T extends object>(answers: Partial<T>): T {
  const away = (): Promise<never> => Promise.reject(Object.assign(new Error("away"), { code: "ECONNREFUSED" }));
  // Every method is there: one that answers, or one that fails.
  return new Proxy(answers, { get: (target, name) => Reflect.get(target, name) ?? away }) as T;
}

it("while calls are being drained, for HEADROOM_DRAIN_SECONDS, claims and database stay", async () => {
  const ports = manualPorts();
  const logger = captureLogger();
  const drained = createDeferred();
  let wereClaimsGivenBack = false;
  const orchestrator = createOrchestrator(
    loadConfigOrThrow(orchestratorConfig, {
      env: {
        DATABASE_URL: "postgres://nowhere/none",
        HEADROOM_DATA_DIR: dir.path,
        HEADROOM_ORCHESTRATOR_GRPC_ADDR: "127.0.0.1:0",
        HEADROOM_ORCHESTRATOR_HTTP_ADDR: "127.0.0.1:0",
        HEADROOM_DRAIN_SECONDS: "9",
      },
    }).values,
    {
      ports,
      logger,
      registry: awayBut<RegistryPort>({ watch: () => nothing }),
      store: awayBut<OrchestratorStore>({
        ping: () => Promise.resolve(),
        queueHold: () => Promise.resolve(null),
        giveBackClaims() {
          wereClaimsGivenBack = true;
          return Promise.resolve(0);
        },
      }),
      network: {
        ...socketNetwork,
        rpcServer(options): RpcServer {
          const server = socketNetwork.rpcServer(options);
          expect(options.drainMs).toBe(9_000);
          return {
            ...server,
            get address() {
              return server.address;
            },
            // A call is in progress to the end.
            stop: async (reason) => {
              await drained.promise;
              await server.stop(reason);
            },
          };
        },
      },
    },
  );
  await orchestrator.start();
  const stopped = orchestrator.stop();
  await ports.advance(9_500);
  expect(wereClaimsGivenBack).toBe(false);
  drained.resolve();
  await stopped;
  expect(wereClaimsGivenBack).toBe(true);
  expect(logger.has("did not stop cleanly")).toBe(false);
});
