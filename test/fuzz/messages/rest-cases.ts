/** Requests to REST paths that are not right. */
import fc from "fast-check";
import type { World } from "../support/world.ts";

export interface Route {
  readonly verb: string;
  readonly path: string;
  readonly address: string;
  readonly isStream: boolean;
}

export interface RestCase {
  readonly route: Route;
  readonly verb: string;
  readonly path: string;
  readonly body: string | Buffer | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

export function oneCase(routes: readonly Route[], world: World): fc.Arbitrary<RestCase> {
  return fc.constantFrom(...routes).chain((route) =>
    fc.record({
      route: fc.constant(route),
      verb: fc.oneof(
        { weight: 9, arbitrary: fc.constant(route.verb) },
        fc.constantFrom("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"),
      ),
      path: fc.tuple(pathOf(route.path, world), queryOf(world)).map(([path, query]) => `${path}${query}`),
      body: route.verb === "GET" || route.verb === "DELETE" ? fc.constant(undefined) : bodyOf(world),
      headers: headersOf(),
    }),
  );
}

function pathOf(template: string, { known }: World): fc.Arbitrary<string> {
  const id = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...known.ids) },
    fc.constantFrom(
      "%00",
      "%ff",
      "%",
      "..",
      "%2e%2e%2f",
      "a%2fb",
      "x".repeat(3_000),
      "\u00e9",
      "*",
      ":cancel",
      "__proto__",
      "",
    ),
  );
  return id.map((value) => encodeOdd(template.replaceAll(/\{[a-z_]+\}/g, () => value)));
}

/** node:http refuses to send what is above Latin-1, so that goes as UTF-8 escapes. */
const encodeOdd = (path: string): string => path.replaceAll(/[^\u0021-\u007e]/g, (char) => encodeURIComponent(char));

function queryOf({ known }: World): fc.Arbitrary<string> {
  const name = fc.constantFrom(
    "page_size",
    "page_token",
    "pageSize",
    "min_cpu_cores",
    "order_by",
    "labels[a]",
    "labels.__proto__",
    "labels[",
    "statuses",
    "needs.cpu_cores",
    "coalesce",
    "follow",
    "x",
    "",
    "__proto__",
    "needs.labels[constructor]",
    "max_shapes",
  );
  const value = fc.oneof(
    fc.constantFrom(
      "1",
      "-1",
      "1e309",
      "NaN",
      "99999999999999999999",
      "true",
      "",
      "%00",
      "%ff",
      "0.1s",
      "{}",
      "[]",
      ...known.ids,
    ),
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
    fc.constantFrom<unknown>(
      null,
      true,
      0,
      -1,
      1e308,
      "",
      "NaN",
      "1s",
      "-1s",
      "1e9s",
      "\0",
      "\u{d800}",
      [],
      {},
      ...known.ids,
    ),
    fc.double().map((value) => value),
    fc.string({ maxLength: 12 }),
  );
  const field = fc.constantFrom(
    "plan",
    "name",
    "tasks",
    "needs",
    "cpu_cores",
    "reservations",
    "attempts",
    "fence",
    "attempt_id",
    "reason",
    "argv",
    "command",
    "env",
    "labels",
    "priority",
    "resume_after",
    "dry_run",
    "deadline",
    "ttl",
    "__proto__",
    "$type",
    "request_id",
  );
  const shape = fc.letrec((tie) => ({
    any: fc.oneof({ depthSize: "small", maxDepth: 4 }, leaf, tie("object"), fc.array(tie("any"), { maxLength: 3 })),
    object: fc.dictionary(field, tie("any"), { maxKeys: 5 }),
  }));
  const right = [
    { plan: { name: "x", tasks: [{ name: "a", command: { argv: ["true"] }, needs: { pool: "nobody-here" } }] } },
    {
      reservations: [{ attempt_id: victim.attemptId, fence: "1", needs: { cpu_cores: 1, pool: "nobody-here" } }],
      dry_run: true,
    },
    { attempts: [{ attempt_id: victim.attemptId, fence: 1 }], reason: "x" },
    { needs: { cpu_cores: 1 }, max_agents: 2 },
    { reason: "x" },
  ];
  const text = fc.oneof(fc.constantFrom<unknown>(...right), shape.object).map((value) => JSON.stringify(value));
  return fc.oneof(
    { weight: 6, arbitrary: text },
    {
      weight: 3,
      arbitrary: fc
        .tuple(
          text,
          fc.double({ min: 0, max: 1, noNaN: true }),
          fc.constantFrom("{", "}", '"', ",", "\\u0000", "1e999", "\\ud800", "\0", ""),
        )
        .map(([whole, at, piece]) => {
          const cut = Math.floor(at * whole.length);
          return `${whole.slice(0, cut)}${piece}${whole.slice(cut + 1)}`;
        }),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "[".repeat(100_000),
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
