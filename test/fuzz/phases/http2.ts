/** What is no HTTP/2, and what is HTTP/2 as nobody means it. */
import fc from "fast-check";
import { frame, frameType, grpcHeaders, headerBlock, preface, settings, writeRaw } from "../calls/h2-frames.ts";
import type { PhaseRun } from "../support/tally.ts";
import { framed } from "../calls/h2-client.ts";

const path = "/headroom.registry.v1.CapacityService/ListAvailableCapacity";
const be32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};
const ends = { stream: 1, headers: 4 } as const;
const both = ends.stream | ends.headers;

function* times(
  count: number,
  make: (n: number) => Buffer,
  first: Buffer = Buffer.concat([preface, settings]),
): Iterable<Buffer> {
  yield first;
  // In bundles, as an attacker would: the kernel's calls are not what is tested.
  const bundle = 64;
  for (let n = 0; n < count; n += bundle) {
    yield Buffer.concat(Array.from({ length: Math.min(bundle, count - n) }, (_, k) => make(n + k)));
  }
}

/** Floods by name, each a connection of its own. `flood` is how many frames. */
const floods: Readonly<Record<string, (flood: number) => Iterable<Buffer>>> = {
  settings: (flood) => times(flood, () => settings),
  "settings that change": (flood) =>
    times(flood, (n) => frame(frameType.settings, 0, 0, Buffer.concat([Buffer.from([0, 3]), be32(n % 100)]))),
  ping: (flood) => times(flood, () => frame(frameType.ping, 0, 0, Buffer.alloc(8, 7))),
  "rapid reset": (flood) =>
    times(flood, (n) =>
      Buffer.concat([
        frame(frameType.headers, both, 2 * n + 1, grpcHeaders(path)),
        frame(frameType.rstStream, 0, 2 * n + 1, be32(8)),
      ]),
    ),
  "rapid reset of calls that are whole": (flood) =>
    times(flood, (n) =>
      Buffer.concat([
        frame(frameType.headers, ends.headers, 2 * n + 1, grpcHeaders(path)),
        frame(frameType.data, ends.stream, 2 * n + 1, framed(Buffer.alloc(0))),
        frame(frameType.rstStream, 0, 2 * n + 1, be32(8)),
      ]),
    ),
  continuation: (flood) =>
    times(
      flood,
      () => frame(frameType.continuation, 0, 1, headerBlock([["x-more", "y".repeat(200)]])),
      Buffer.concat([preface, settings, frame(frameType.headers, 0, 1, grpcHeaders(path))]),
    ),
  "empty continuation": (flood) =>
    times(
      flood,
      () => frame(frameType.continuation, 0, 1),
      Buffer.concat([preface, settings, frame(frameType.headers, 0, 1, grpcHeaders(path))]),
    ),
  "empty data": (flood) =>
    times(
      flood,
      () => frame(frameType.data, 0, 1),
      Buffer.concat([preface, settings, frame(frameType.headers, ends.headers, 1, grpcHeaders(path))]),
    ),
  priority: (flood) =>
    times(flood, (n) => frame(frameType.priority, 0, 2 * n + 1, Buffer.concat([be32(0), Buffer.from([1])]))),
  "window updates": (flood) => times(flood, () => frame(frameType.windowUpdate, 0, 0, be32(1))),
  "unknown frames": (flood) => times(flood, (n) => frame(0x40 + (n % 64), 0xff, n, Buffer.alloc(100, 1))),
  "headers on one stream again and again": (flood) =>
    times(flood, () => frame(frameType.headers, ends.headers, 1, grpcHeaders(path))),
  "reset of streams that were never opened": (flood) =>
    times(flood, (n) => frame(frameType.rstStream, 0, 2 * n + 1, be32(0))),
  "calls that never end": (flood) =>
    times(Math.min(flood, 3_000), (n) => frame(frameType.headers, ends.headers, 2 * n + 1, grpcHeaders(path))),
  "answers that nobody lets out": (flood) =>
    times(
      Math.min(flood, 2_000),
      (n) =>
        Buffer.concat([
          frame(frameType.headers, ends.headers, 2 * n + 1, grpcHeaders(path)),
          frame(frameType.data, ends.stream, 2 * n + 1, framed(Buffer.alloc(0))),
        ]),
      // SETTINGS_INITIAL_WINDOW_SIZE 0.
      Buffer.concat([preface, frame(frameType.settings, 0, 0, Buffer.concat([Buffer.from([0, 4]), be32(0)]))]),
    ),
};

export async function http2(run: PhaseRun): Promise<void> {
  const { tally, world, effort } = run;
  const addresses = world.services.map(({ grpcAddress }) => grpcAddress);
  const frames = Math.ceil(20_000 * effort);
  for (const flood of Object.values(floods)) {
    await Promise.all(
      addresses.map(async (address) => {
        const outcome = await writeRaw(address, flood(frames), { listenMs: 500 });
        tally.case("HTTP/2 flood frames", frames);
        tally.answer(outcome.ended ? "connection ended" : "connection left open");
        tally.connections += 1;
      }),
    );
  }
  await Promise.all(addresses.map((address) => strangeFrames(run, address)));
  // A byte now and then, of what would be right.
  const slow = Buffer.concat([preface, settings, frame(frameType.headers, both, 1, grpcHeaders(path))]);
  await Promise.all(
    addresses.flatMap((address) =>
      Array.from({ length: 20 }, async (_, n) => {
        await writeRaw(
          address,
          [...slow].slice(0, 20 + n).map((byte) => Buffer.from([byte])),
          { listenMs: 100, gapMs: 150 },
        );
        tally.case("HTTP/2 byte by byte");
        tally.connections += 1;
      }),
    ),
  );
}

/** Random frames after a right preface, and random bytes in place of one. */
async function strangeFrames({ tally, seed, effort }: PhaseRun, address: string): Promise<void> {
  const one = fc
    .record({
      type: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 0, max: 9 }) }, fc.integer({ min: 0, max: 255 })),
      flags: fc.integer({ min: 0, max: 255 }),
      stream: fc.constantFrom(0, 1, 2, 3, 5, 2 ** 31 - 1, 2 ** 31),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
        fc.constantFrom(
          grpcHeaders(path),
          headerBlock([["X-Upper", "1"]]),
          headerBlock([[":path", ""]]),
          Buffer.alloc(20_000),
        ),
      ),
      wrong: fc.option(fc.constantFrom(0, 1, 16_385, 2 ** 24 - 1), { freq: 5 }),
    })
    .map(({ type, flags, stream, payload, wrong }) => frame(type, flags, stream, payload, wrong ?? payload.length));
  const start = fc.constantFrom(Buffer.concat([preface, settings]), preface, preface.subarray(0, 11), Buffer.alloc(0));
  const connections = fc.tuple(start, fc.array(one, { maxLength: 12 }));
  await fc.assert(
    fc.asyncProperty(connections, async ([first, frames]) => {
      const outcome = await writeRaw(address, [first, ...frames], { listenMs: 60 });
      tally.case("HTTP/2 strange frames");
      tally.connections += 1;
      tally.answer(outcome.ended ? "connection ended" : "connection left open");
    }),
    { seed, numRuns: Math.ceil(250 * effort) },
  );
}
