/** Below the messages: gRPC's own framing, its headers, and streams that are used in every way but the right one. */
import { methodContracts } from "@headroom/contracts";
import fc from "fast-check";
import { deflateSync, gzipSync } from "node:zlib";
import { framed, H2Client, type RawCall } from "../calls/h2-client.ts";
import { codeOf, wrongAnswer } from "../calls/judge.ts";
import { corpus } from "../messages/corpus.ts";
import type { PhaseRun } from "../support/tally.ts";
import { servedMethods, short } from "./messages.ts";

type Headers = NonNullable<RawCall["headers"]>;

/** One call, in a form that prints and shrinks. */
interface Case {
  readonly path: string;
  readonly headers: Headers;
  readonly body: Buffer;
  readonly ends: boolean;
}

export async function framing(run: PhaseRun): Promise<void> {
  const { world, tally, seed, effort } = run;
  const methods = servedMethods(world);
  await Promise.all(
    world.services.map(async (service) => {
      const paths = methods
        .filter(({ address }) => address === service.grpcAddress)
        .map(({ contract }) => contract.fullName);
      const client = new H2Client(service.grpcAddress);
      const outcome = await fc.check(
        fc.asyncProperty(oneCase(paths, world.token, corpus(world.victim)), async (one) => {
          tally.case("framing");
          const answer = await client.call({ ...one, listenMs: 400 });
          tally.answer(codeOf(answer));
          const wrong = wrongAnswer(answer);
          if (wrong !== null) throw new Error(wrong);
        }),
        { seed, numRuns: Math.ceil(effort * 500), interruptAfterTimeLimit: 120_000, markInterruptAsFailure: false },
      );
      tally.connections += client.connections;
      client.close();
      if (!outcome.failed) return;
      const [one] = outcome.counterexample ?? [];
      tally.find(
        "framing",
        `${service.name}: ${String(outcome.errorInstance)}`,
        `seed ${outcome.seed}, path ${outcome.counterexamplePath}, ${one === undefined ? "" : `${one.path} ${JSON.stringify(one.headers).slice(0, 500)} ends ${one.ends} body ${short(one.body)}`}`,
      );
    }),
  );
}

function oneCase(
  methods: readonly string[],
  token: string,
  right: ReadonlyMap<string, readonly Buffer[]>,
): fc.Arbitrary<Case> {
  const method = fc.constantFrom(...methods);
  return method.chain((name) => {
    const known = right.get(methodContracts().get(name)?.requestType ?? "") ?? [Buffer.alloc(0)];
    return fc.record({
      path: fc.oneof({ weight: 8, arbitrary: fc.constant(`/${name}`) }, strangePath(name)),
      headers: headers(token),
      body: bodies(fc.constantFrom(...known)),
      ends: fc.oneof({ weight: 6, arbitrary: fc.constant(true) }, fc.constant(false)),
    });
  });
}

const strangePath = (name: string): fc.Arbitrary<string> =>
  fc.constantFrom(
    `//${name}`,
    `/${name}/`,
    `/${name}?x=1`,
    `/${name.toLowerCase()}`,
    "/",
    "/headroom.registry.v1.CapacityService/",
    "/%2e%2e/%00",
    `/${"a".repeat(8_000)}`,
    "*",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
  );

/** What a message may be put into. */
function bodies(message: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const wrongLength = fc.constantFrom(0, 1, 5, 16 * 1_048_576, 16 * 1_048_576 + 1, 2 ** 31, 2 ** 32 - 1);
  return fc.oneof(
    message.map((bytes) => framed(bytes)),
    message.map((bytes) => framed(bytes, { compressed: 1 })),
    message.map((bytes) => framed(gzipSync(bytes), { compressed: 1 })),
    message.map((bytes) => framed(deflateSync(bytes), { compressed: 1 })),
    message.map((bytes) => framed(gzipSync(bytes).subarray(0, 12), { compressed: 1 })),
    fc.tuple(message, fc.integer({ min: 2, max: 255 })).map(([bytes, compressed]) => framed(bytes, { compressed })),
    fc.tuple(message, wrongLength).map(([bytes, claims]) => framed(bytes, { claims })),
    message.map((bytes) => framed(bytes).subarray(0, 3)),
    fc.array(message, { minLength: 2, maxLength: 20 }).map((all) => Buffer.concat(all.map((bytes) => framed(bytes)))),
    fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
    fc.constant(Buffer.alloc(0)),
    fc.constant(Buffer.alloc(50_000)),
  );
}

/** Headers of gRPC that are wrong, twice there, or far too long. */
function headers(token: string): fc.Arbitrary<Headers> {
  const authorization = fc.oneof(
    { weight: 12, arbitrary: fc.constant<string | undefined>(`Bearer ${token}`) },
    fc.constantFrom(
      undefined,
      "",
      "Bearer",
      "Bearer  ",
      "Basic eDp5",
      `bearer ${token} ${token}`,
      "Bearer \u00e9\u00ff",
    ),
    fc.constantFrom(
      "Bearer hrc1.a.b.c",
      `Bearer hrc1.${"a".repeat(2_000)}`,
      "Bearer hrj1.x",
      `Bearer ${"t".repeat(9_000)}`,
    ),
  );
  const timeout = fc.oneof(
    { weight: 8, arbitrary: fc.constant<string | undefined>(undefined) },
    fc.constantFrom("1S", "0n", "-1S", "99999999H", "1000000000S", "x", "", "1S, 2S", "9999999999999999n", "1 S"),
  );
  const encoding = fc.oneof(
    { weight: 5, arbitrary: fc.constant<string | undefined>(undefined) },
    fc.constantFrom("gzip", "deflate", "identity", "br", "", "gzip, gzip", "\u00ff"),
  );
  const type = fc.oneof(
    { weight: 8, arbitrary: fc.constant<string | undefined>("application/grpc") },
    fc.constantFrom("application/grpc+json", "application/grpc-web", "text/html", "application/json", "", undefined),
  );
  const extra = fc.oneof(
    { weight: 8, arbitrary: fc.constant<Headers>({}) },
    fc.constantFrom<Headers>(
      { "x-request-id": "x".repeat(5_000) },
      { "x-request-id": ["a", "b"] },
      { "x-request-id": "\u00e4 \u00f6" },
      { traceparent: "00-zz" },
      { traceparent: "00-00000000000000000000000000000000-0000000000000000-00" },
      { "x-big": "y".repeat(60_000) },
      { "some-bin": "!!! no base64 !!!" },
      { "grpc-status-details-bin": "AAAA" },
      Object.fromEntries(Array.from({ length: 90 }, (_, n) => [`x-many-${n}`, "v"])),
      { ":authority": "evil.example", host: "other.example" },
      { "grpc-accept-encoding": "\u00ff", "user-agent": "" },
    ),
  );
  return fc
    .tuple(authorization, timeout, encoding, type, extra)
    .map(([authorization, timeout, encoding, type, extra]) => ({
      authorization,
      "grpc-timeout": timeout,
      "grpc-encoding": encoding,
      "content-type": type,
      ...extra,
    }));
}
