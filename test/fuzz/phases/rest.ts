/** Every REST path of both services, from the descriptors, with bodies, queries and headers that are not right. */
import { methodContracts } from "@headroom/contracts";
import fc from "fast-check";
import { restCall } from "../../integration/bad-input-rest.ts";
import { writeRaw } from "../calls/h2-frames.ts";
import type { PhaseRun } from "../support/tally.ts";
import type { World } from "../support/world.ts";

interface Route {
  readonly verb: string;
  readonly path: string;
  readonly address: string;
  readonly isStream: boolean;
}

interface Case {
  readonly route: Route;
  readonly verb: string;
  readonly path: string;
  readonly body: string | Buffer | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

export async function rest(run: PhaseRun): Promise<void> {
  const { world, tally, seed, effort } = run;
  const routes = routesOf(world);
  const lanes = 8;
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      const mine = routes.filter((_route, n) => n % lanes === lane);
      const outcome = await fc.check(
        fc.asyncProperty(oneCase(mine, world), async (one) => {
          tally.case("REST");
          const wrong = await ask(one, world.token, (code) => tally.answer(code));
          if (wrong !== null) throw new Error(wrong);
        }),
        { seed: seed + lane, numRuns: Math.ceil(effort * 30 * mine.length), interruptAfterTimeLimit: 120_000, markInterruptAsFailure: false },
      );
      if (!outcome.failed) return;
      const [one] = outcome.counterexample ?? [];
      tally.find(
        "rest",
        String(outcome.errorInstance),
        `seed ${outcome.seed}, path ${outcome.counterexamplePath}, ${JSON.stringify(one).slice(0, 1_500)}`,
      );
    }),
  );
  await byHand(run);
}

function routesOf(world: World): readonly Route[] {
  const { registry, orchestrator } = world.cluster;
  const routes = [...methodContracts().values()].flatMap(({ service, http, streaming }) =>
    http.map(({ verb, path }) => ({
      verb,
      path,
      address: (service.startsWith("headroom.registry.") ? registry : orchestrator).httpAddress,
      isStream: streaming !== "unary",
    })),
  );
  const pages = ["/", "/healthz", "/readyz", "/openapi.json", "/metrics"].flatMap((path) =>
    [registry, orchestrator].map(({ httpAddress }) => ({ verb: "GET", path, address: httpAddress, isStream: false })),
  );
  return [...routes, ...pages];
}

const ourFault = new Set([500, 502, 503]);

async function ask({ route, verb, path, body, headers }: Case, token: string, note: (code: string) => void): Promise<string | null> {
  if (route.isStream) {
    const text = `${verb} ${path} HTTP/1.1\r\nhost: ${route.address}\r\nauthorization: Bearer ${token}\r\n\r\n`;
    const { received, ended } = await writeRaw(route.address, [Buffer.from(text, "latin1")], { listenMs: 250 });
    note("REST stream");
    return received > 0 || !ended ? null : `${verb} ${path} was answered with nothing`;
  }
  const answer = await restCall({ address: route.address, verb, path, token, headers, ...(body !== undefined && { body }) }).catch(
    (error: unknown) => String(error),
  );
  if (typeof answer === "string") {
    // A connection that ends is an answer to what is no HTTP; the client's own refusals are none of ours.
    note(/ECONNRESET|socket hang up|EPIPE/.test(answer) ? "REST connection ended" : "REST not sent");
    return null;
  }
  note(`http ${answer.status}`);
  if (ourFault.has(answer.status)) return `${verb} ${path}: ${answer.status} ${answer.text.slice(0, 300)}`;
  if (answer.status < 400 || verb === "HEAD" || answer.text === "") return null;
  const { error } = JSON.parse(answer.text) as { readonly error?: { readonly reason?: string } };
  return /^[A-Z][A-Z0-9_]+$/.test(error?.reason ?? "") ? null : `${verb} ${path}: ${answer.status} without a reason: ${answer.text}`;
}

function oneCase(routes: readonly Route[], world: World): fc.Arbitrary<Case> {
  return fc.constantFrom(...routes).chain((route) =>
    fc.record({
      route: fc.constant(route),
      verb: fc.oneof({ weight: 9, arbitrary: fc.constant(route.verb) }, fc.constantFrom("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")),
      path: fc.tuple(pathOf(route.path, world), queryOf(world)).map(([path, query]) => `${path}${query}`),
      body: route.verb === "GET" || route.verb === "DELETE" ? fc.constant(undefined) : bodyOf(world),
      headers: headersOf(),
    }),
  );
}

function pathOf(template: string, { known }: World): fc.Arbitrary<string> {
  const id = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...known.ids) },
    fc.constantFrom("%00", "%ff", "%", "..", "%2e%2e%2f", "a%2fb", "x".repeat(3_000), "\u00e9", "*", ":cancel", "__proto__", ""),
  );
  return id.map((value) => encodeOdd(template.replaceAll(/\{[a-z_]+\}/g, () => value)));
}

/** node:http refuses to send what is above Latin-1, so that goes as UTF-8 escapes. */
const encodeOdd = (path: string): string => path.replaceAll(/[^\u0021-\u007e]/g, (char) => encodeURIComponent(char));

function queryOf({ known }: World): fc.Arbitrary<string> {
  const name = fc.constantFrom("page_size", "page_token", "pageSize", "min_cpu_cores", "order_by", "labels[a]", "labels.__proto__", "labels[", "statuses", "needs.cpu_cores", "coalesce", "follow", "x", "", "__proto__", "needs.labels[constructor]", "max_shapes");
  const value = fc.oneof(
    fc.constantFrom("1", "-1", "1e309", "NaN", "99999999999999999999", "true", "", "%00", "%ff", "0.1s", "{}", "[]", ...known.ids),
    fc.string({ maxLength: 20 }).map((text) => encodeURIComponent(text)),
  );
  const pair = fc.tuple(name, value).map(([key, each]) => `${encodeURIComponent(key)}=${each}`);
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant("") },
    { weight: 3, arbitrary: fc.array(pair, { maxLength: 4 }).map((pairs) => `?${pairs.join("&")}`) },
    { weight: 1, arbitrary: fc.constantFrom("?", "??", "?&&&=&", "?=", "?%", `?${"page_size=1&".repeat(1_200)}`) },
  );
}

/** JSON that is nearly right, JSON of every shape, and what is no JSON. */
function bodyOf({ victim, known }: World): fc.Arbitrary<string | Buffer> {
  const leaf = fc.oneof(
    fc.constantFrom<unknown>(null, true, 0, -1, 1e308, "", "NaN", "1s", "-1s", "1e9s", "\0", "\u{d800}", [], {}, ...known.ids),
    fc.double().map((value) => value),
    fc.string({ maxLength: 12 }),
  );
  const field = fc.constantFrom("plan", "name", "tasks", "needs", "cpu_cores", "reservations", "attempts", "fence", "attempt_id", "reason", "argv", "command", "env", "labels", "priority", "resume_after", "dry_run", "deadline", "ttl", "__proto__", "$type", "request_id");
  const shape = fc.letrec((tie) => ({
    any: fc.oneof({ depthSize: "small", maxDepth: 4 }, leaf, tie("object"), fc.array(tie("any"), { maxLength: 3 })),
    object: fc.dictionary(field, tie("any"), { maxKeys: 5 }),
  }));
  const right = [
    { plan: { name: "x", tasks: [{ name: "a", command: { argv: ["true"] }, needs: { pool: "nobody-here" } }] } },
    { reservations: [{ attempt_id: victim.attemptId, fence: "1", needs: { cpu_cores: 1, pool: "nobody-here" } }], dry_run: true },
    { attempts: [{ attempt_id: victim.attemptId, fence: 1 }], reason: "x" },
    { needs: { cpu_cores: 1 }, max_agents: 2 },
    { reason: "x" },
  ];
  const text = fc.oneof(fc.constantFrom<unknown>(...right), shape.object).map((value) => JSON.stringify(value));
  return fc.oneof(
    { weight: 6, arbitrary: text },
    {
      weight: 3,
      arbitrary: fc.tuple(text, fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom("{", "}", "\"", ",", "\\u0000", "1e999", "\\ud800", "\0", "")).map(
        ([whole, at, piece]) => {
          const cut = Math.floor(at * whole.length);
          return `${whole.slice(0, cut)}${piece}${whole.slice(cut + 1)}`;
        },
      ),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        `${"[".repeat(100_000)}`,
        `{"plan":${'{"plan":'.repeat(20_000)}1${"}".repeat(20_001)}`,
        `{"reason":"${"x".repeat(1_000_000)}"}`,
        `{"needs":{"cpu_cores":${"9".repeat(100_000)}}}`,
        `{${Array.from({ length: 20_000 }, (_, n) => `"k${n}":1`).join(",")}}`,
        `{"reason":"a","reason":"b"}`,
      ),
    },
  );
}

function headersOf(): fc.Arbitrary<Readonly<Record<string, string>>> {
  const plain: Readonly<Record<string, string>> = {};
  return fc.oneof(
    { weight: 8, arbitrary: fc.constant(plain) },
    fc.constantFrom<Readonly<Record<string, string>>>(
      { "content-type": "text/plain" },
      { "content-type": "application/json; charset=utf-16" },
      { "content-type": "application/json;;;" },
      { "content-encoding": "gzip" },
      { "x-request-id": "a b\u00ff" },
      { "x-request-id": "x".repeat(10_000) },
      { traceparent: "00-x" },
      { accept: "application/xml" },
      { authorization: "Bearer wrong" },
      { authorization: "Bearer" },
      { range: "bytes=0-1" },
      { expect: "100-continue" },
      { "transfer-encoding": "chunked" },
      { host: "evil.example" },
      { origin: "http://evil.example" },
      { connection: "upgrade", upgrade: "h2c" },
      { "x-http-method-override": "DELETE" },
    ),
  );
}

/** What no client library sends. */
async function byHand({ tally, world, effort }: PhaseRun): Promise<void> {
  const host = (address: string): string => `host: ${address}\r\nauthorization: Bearer ${world.token}\r\n`;
  for (const { httpAddress } of world.services) {
    const get = `GET /api/v1/agents HTTP/1.1\r\n${host(httpAddress)}\r\n`;
    const post = `POST /api/v1/plans HTTP/1.1\r\n${host(httpAddress)}content-type: application/json\r\n`;
    const connections: readonly (readonly [string, Iterable<Buffer>, number])[] = [
      ["pipelined", repeat(get, Math.ceil(1_000 * effort)), 0],
      ["pipelined, with garbage between", repeat(`${get}\r\n\r\nX\r\n`, 50), 0],
      ["two lengths", repeat(`${post}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`, 1), 0],
      ["length and chunks", repeat(`${post}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 1), 0],
      ["chunks of no number", repeat(`${post}transfer-encoding: chunked\r\n\r\nzz\r\n`, 1), 0],
      ["a chunk that never ends", repeat(`${post}transfer-encoding: chunked\r\n\r\nfffffff\r\n${"x".repeat(50_000)}`, 1), 0],
      ["a length beyond all", repeat(`${post}content-length: 99999999999999999999\r\n\r\n{}`, 1), 0],
      ["a negative length", repeat(`${post}content-length: -1\r\n\r\n{}`, 1), 0],
      ["17 MiB", oneHuge(post), 0],
      ["headers without end", repeat(`x-more: ${"y".repeat(500)}\r\n`, 500, "GET / HTTP/1.1\r\n"), 0],
      ["thousands of small headers", repeat("x: y\r\n", 5_000, "GET / HTTP/1.1\r\n"), 0],
      ["a request line without end", repeat("a".repeat(1_000), 200, "GET /"), 0],
      ["HTTP/0.9", repeat("GET /\r\n", 1), 0],
      ["HTTP/2 preface", repeat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 1), 0],
      ["an absolute target", repeat(`GET http://evil.example/ HTTP/1.1\r\n${host(httpAddress)}\r\n`, 1), 0],
      ["CONNECT", repeat(`CONNECT evil.example:443 HTTP/1.1\r\n${host(httpAddress)}\r\n`, 1), 0],
      ["a byte at a time", [...get].slice(0, 60).map((char) => Buffer.from(char)), 30],
      ["half a body", repeat(`${post}content-length: 1000\r\n\r\n{"plan":`, 1), 0],
    ];
    await Promise.all(
      connections.map(async ([, pieces, gapMs]) => {
        const outcome = await writeRaw(httpAddress, pieces, { listenMs: 800, gapMs });
        tally.case("REST by hand");
        tally.answer(outcome.ended ? "connection ended" : "connection left open");
        tally.connections += 1;
      }),
    );
  }
}

function* repeat(text: string, times: number, first = ""): Iterable<Buffer> {
  yield Buffer.from(first, "latin1");
  for (let n = 0; n < times; n += 1) yield Buffer.from(text, "latin1");
}

function* oneHuge(head: string): Iterable<Buffer> {
  yield Buffer.from(`${head}content-length: ${17 * 1_048_576}\r\n\r\n{"x":"`);
  for (let n = 0; n < 17; n += 1) yield Buffer.alloc(1_048_576, "x");
}
