/** Clients of services that a test plays, each closed after its test. */
import type { Ports } from "@headroom/runtime";
import { afterEach } from "vitest";
import type { WatchItem } from "./watch-stream.ts";
import { createHeadroomClient, type HeadroomClient } from "./client.ts";
import { type Fakes, fakeToken, startFakeServices } from "./fake-services.test-helper.ts";

export const planId = "11111111-1111-4111-8111-111111111111";
/** Done after each test, the last first. */
export const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

export async function clientOf(fakes: Fakes, token: string | null = fakeToken, ports?: Ports): Promise<HeadroomClient> {
  const services = await startFakeServices(fakes);
  cleanups.push(() => services.stop());
  const client = createHeadroomClient(
    {
      registry: services.address,
      orchestrator: services.address,
      dataDir: "/nowhere/at/all",
      ...(token !== null && { token }),
    },
    { env: {}, ...(ports !== undefined && { ports }) },
  );
  cleanups.push(() => client.close());
  return client;
}

export async function collect<T>(items: AsyncIterable<WatchItem<T>>): Promise<WatchItem<T>[]> {
  const all: WatchItem<T>[] = [];
  for await (const item of items) all.push(item);
  return all;
}
