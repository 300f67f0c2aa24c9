/** HTTP/1.1 by the byte. */
import { writeRaw } from "../calls/h2-frames.ts";
import type { PhaseRun } from "../support/tally.ts";

/** What no client library sends. */
export async function restByHand({ tally, world, effort }: PhaseRun): Promise<void> {
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
      [
        "a chunk that never ends",
        repeat(`${post}transfer-encoding: chunked\r\n\r\nfffffff\r\n${"x".repeat(50_000)}`, 1),
        0,
      ],
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
      ["a byte at a time", Array.from({ length: 60 }, (_, n) => Buffer.from(get.slice(n, n + 1))), 30],
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
