import { createChannel, createClient, HeadroomError, type RpcClient, type ServiceDefinition } from "@headroom/rpc";
import { silentLogger, systemPorts } from "@headroom/runtime";

/** Clients of one test, with tokens and limits of its choice. */
export interface OwnClients {
  of<D extends ServiceDefinition>(
    definition: D,
    address: string,
    options?: { readonly token?: string; readonly maxMessageBytes?: number },
  ): RpcClient<D>;
  close(): void;
}

export function ownClients(): OwnClients {
  const closers: (() => void)[] = [];
  return {
    of(definition, address, options = {}) {
      const channel = createChannel({ address, ports: systemPorts, logger: silentLogger, ...options });
      closers.push(() => channel.close());
      return createClient(definition, channel);
    },
    close() {
      for (const close of closers.splice(0)) close();
    },
  };
}

/** The error of a call that has to fail. */
export async function failureOf(call: Promise<unknown>): Promise<HeadroomError> {
  let answer: unknown;
  try {
    answer = await call;
  } catch (error) {
    if (error instanceof HeadroomError) return error;
    throw error;
  }
  throw new Error(`it was accepted: ${JSON.stringify(answer)?.slice(0, 500)}`);
}
