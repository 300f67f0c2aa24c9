import { silentLogger, systemPorts } from "@headroom/runtime";
import { expect, it } from "vitest";
import { memoryOutputStores } from "../output/memory-segments.ts";
import { OutputSpool } from "../output/output-spool.ts";
import { OutputSender } from "./output-sender.ts";

async function alternating(pieces: number, maxBytes?: number): Promise<OutputSpool> {
  const spool = new OutputSpool({
    store: memoryOutputStores().open("a"),
    ports: systemPorts,
    logger: silentLogger,
    onMore: () => undefined,
    ...(maxBytes === undefined ? {} : { maxBytes }),
  });
  for (let piece = 0; piece < pieces; piece += 1)
    await spool.write(piece % 2 === 0 ? "stdout" : "stderr", Buffer.from("."));
  await spool.flush();
  return spool;
}

it("I9: a program that alternates between its streams has no more pieces on their way, or waiting, than fit with what each takes beside its data", async () => {
  const spool = await alternating(3_000);
  const sent: number[] = [];
  const sender = new OutputSender(spool, {
    send: ({ seq }) => sent.push(seq) > 0,
    onSentAll: () => undefined,
  });
  await sender.pump();
  // 262,144 of 129 bytes each.
  expect(sent).toHaveLength(2_033);
  await sender.acked(1_000);
  expect(sent).toHaveLength(3_000);

  const bounded = await alternating(3_000, 64_000);
  let kept = 0;
  for (let piece = await bounded.read(1); piece !== null; piece = await bounded.read(piece.seq + 1))
    kept += piece.source === "headroom" ? 0 : 1;
  expect(kept).toBeLessThanOrEqual(64_000 / 129);
  expect(kept).toBeGreaterThan(64_000 / 129 / 2);
});
