import { type Database, defineStatement, type Queryable } from "@headroom/postgres";
import type { OutputStream } from "@headroom/contracts";
import type { FencedAttempt, OutputChunk } from "../model.ts";

const lockOutput = defineStatement<{ readonly output_last_seq: number; readonly output_bytes: number }>({
  name: "attempts_lock_output",
  text: `SELECT output_last_seq, output_bytes FROM attempts WHERE attempt_id = $1 AND fence = $2 FOR NO KEY UPDATE`,
});

const insertOutput = defineStatement({
  name: "task_output_insert",
  text: `
    INSERT INTO task_output (attempt_id, seq, stream, at, data)
    SELECT $1, o.seq, o.stream, to_timestamp(o.at_ms / 1000.0), o.data
      FROM unnest($2::bigint[], $3::text[], $4::double precision[], $5::bytea[]) AS o(seq, stream, at_ms, data)`,
});

const noteOutput = defineStatement({
  name: "attempts_note_output",
  text: `
    UPDATE attempts
       SET output_last_seq = $2, output_bytes = output_bytes + $3, output_dropped_bytes = output_dropped_bytes + $4
     WHERE attempt_id = $1`,
});

/** Keeps pieces in their order up to `maxBytes`; what is beyond is only counted. Pieces that came before are dropped. */
export function appendOutput(
  db: Database,
  attempt: FencedAttempt,
  chunks: readonly OutputChunk[],
  maxBytes: number,
): Promise<number | null> {
  return db.transaction(async (tx) => {
    const [row] = await tx.query(lockOutput, [attempt.attemptId, attempt.fence]);
    if (row === undefined) return null;
    const kept: OutputChunk[] = [];
    let keptBytes = 0;
    let droppedBytes = 0;
    let lastSeq = row.output_last_seq;
    for (const chunk of [...chunks].sort((a, b) => a.seq - b.seq)) {
      if (chunk.seq <= lastSeq) continue;
      lastSeq = chunk.seq;
      if (row.output_bytes + keptBytes + chunk.data.byteLength <= maxBytes) {
        kept.push(chunk);
        keptBytes += chunk.data.byteLength;
      } else {
        droppedBytes += chunk.data.byteLength;
      }
    }
    if (lastSeq === row.output_last_seq) return lastSeq;
    if (kept.length > 0) {
      await tx.execute(insertOutput, [
        attempt.attemptId,
        kept.map(({ seq }) => seq),
        kept.map(({ stream }) => stream),
        kept.map(({ atMs }) => atMs),
        kept.map(({ data }) => Buffer.from(data)),
      ]);
    }
    await tx.execute(noteOutput, [attempt.attemptId, lastSeq, keptBytes, droppedBytes]);
    return lastSeq;
  });
}

const selectOutput = defineStatement<{
  readonly seq: number;
  readonly stream: OutputStream;
  readonly at: number;
  readonly data: Buffer;
}>({
  name: "task_output_after",
  text: `SELECT seq, stream, at, data FROM task_output WHERE attempt_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
});

export async function readOutput(
  db: Queryable,
  attemptId: string,
  afterSeq: number,
  limit: number,
): Promise<readonly OutputChunk[]> {
  const rows = await db.query(selectOutput, [attemptId, afterSeq, limit]);
  return rows.map((row) => ({ seq: row.seq, stream: row.stream, atMs: row.at, data: row.data }));
}

const selectDropped = defineStatement<{ readonly output_dropped_bytes: number }>({
  name: "attempts_output_dropped",
  text: `SELECT output_dropped_bytes FROM attempts WHERE attempt_id = $1`,
});

export async function outputDroppedBytes(db: Queryable, attemptId: string): Promise<number> {
  const [row] = await db.query(selectDropped, [attemptId]);
  return row?.output_dropped_bytes ?? 0;
}
