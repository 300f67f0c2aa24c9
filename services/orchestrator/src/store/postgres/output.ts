import { type Database, defineStatement, type Queryable, type Transaction } from "@headroom/postgres";
import type { OutputStream } from "@headroom/contracts";
import type { FencedAttempt, OutputChunk, Patience } from "../model.ts";
import { bytesGone, leftOutNote, type OutputPlan, planOutput } from "../output-keeping.ts";
import { RowLockedError } from "../row-locked.ts";
import { waitsAMoment } from "./lock-wait.ts";

/** Writers of output that wait for an attempt at once, a quarter of a second at most: each has one connection of the pool meanwhile. */
const maxWaiting = 2;

interface KeptRow {
  readonly output_last_seq: number;
  readonly output_bytes: number;
  readonly output_tail_bytes: number;
  readonly output_head_last_seq: number | null;
}

const ofAgent = "FROM attempts WHERE attempt_id = $1 AND fence = $2 AND agent_id = $3";
const kept = `SELECT output_last_seq, output_bytes, output_tail_bytes, output_head_last_seq ${ofAgent}`;

const lockFree = defineStatement<KeptRow>({
  name: "attempts_lock_output",
  text: `${kept} FOR NO KEY UPDATE SKIP LOCKED`,
});

const lockInAMoment = defineStatement<KeptRow>({
  name: "attempts_lock_output_waiting",
  text: `${kept} AND ${waitsAMoment} FOR NO KEY UPDATE`,
});

const isThere = defineStatement<{ readonly attempt_id: string }>({
  name: "attempts_output_is_there",
  text: `SELECT attempt_id ${ofAgent}`,
});

const insertOutput = defineStatement({
  name: "task_output_insert",
  text: `
    INSERT INTO task_output (attempt_id, seq, stream, at, data)
    SELECT $1, o.seq, o.stream, to_timestamp(o.at_ms / 1000.0), o.data
      FROM unnest($2::bigint[], $3::text[], $4::double precision[], $5::bytea[]) AS o(seq, stream, at_ms, data)`,
});

// The oldest pieces of the end, until $3 bytes have gone. At most 4,096 at a time, many more than come at a time: should
// that not be enough, the next ones go on.
const evictOutput = defineStatement<{
  readonly seq: number;
  readonly stream: OutputStream;
  readonly length: number;
  readonly note: Buffer | null;
}>({
  name: "task_output_evict",
  text: `
    DELETE FROM task_output o
     USING (SELECT seq, sum(length) OVER (ORDER BY seq) - length AS bytes_before
              FROM (SELECT seq, octet_length(data) AS length FROM task_output
                     WHERE attempt_id = $1 AND seq > $2 ORDER BY seq LIMIT 4096) oldest) e
     WHERE o.attempt_id = $1 AND o.seq = e.seq AND e.bytes_before < $3
    RETURNING o.seq, o.stream, octet_length(o.data) AS length, CASE WHEN o.stream = 'headroom' THEN o.data END AS note`,
});

const noteOutput = defineStatement({
  name: "attempts_note_output",
  text: `
    UPDATE attempts
       SET output_last_seq = $2, output_head_last_seq = $3, output_bytes = output_bytes + $4,
           output_tail_bytes = output_tail_bytes + $5, output_dropped_bytes = output_dropped_bytes + $6,
           output_gap_seq = coalesce($7, output_gap_seq)
     WHERE attempt_id = $1`,
});

/** Null: no such attempt of this agent. Throws a `conflict` when somebody else keeps it locked: `patience` is told of that at once. */
type AppendOutput = (
  attempt: FencedAttempt,
  agentId: string,
  chunks: readonly OutputChunk[],
  maxBytes: number,
  patience?: Patience,
) => Promise<number | null>;

/**
 * Output comes all the time and of everything that runs, so an attempt that somebody keeps locked must not keep connections: mostly nothing is
 * waited for, and what is locked only for a moment (by a renewal, say) is, but by few at once. The others come again.
 */
export function createAppendOutput(db: Database): AppendOutput {
  let waiting = 0;

  return async (attempt, agentId, chunks, maxBytes, patience) => {
    const values = [attempt.attemptId, attempt.fence, agentId];
    const append = (lock: typeof lockFree): Promise<number | null> =>
      db.transaction(async (tx) => {
        const [row] = await tx.query(lock, values);
        return row === undefined ? null : appendTo(tx, attempt.attemptId, row, chunks, maxBytes);
      });
    const seq = await append(lockFree);
    if (seq !== null || (await db.query(isThere, values)).length === 0) return seq;
    patience?.onLocked();
    if (waiting >= maxWaiting)
      throw new RowLockedError(`attempt ${attempt.attemptId} is locked, and others are waited for`);
    waiting += 1;
    try {
      return await append(lockInAMoment);
    } finally {
      waiting -= 1;
    }
  };
}

/** Keeps beginning and end of what is more than `maxBytes`, and counts the rest. Pieces that came before are dropped. */
async function appendTo(
  tx: Transaction,
  attemptId: string,
  row: KeptRow,
  chunks: readonly OutputChunk[],
  maxBytes: number,
): Promise<number> {
  const before = {
    lastSeq: row.output_last_seq,
    headLastSeq: row.output_head_last_seq,
    headBytes: row.output_bytes - row.output_tail_bytes,
    tailBytes: row.output_tail_bytes,
  };
  const plan = planOutput(before, chunks, maxBytes);
  if (plan.lastSeq === before.lastSeq) return plan.lastSeq;
  const evicted = await evict(tx, attemptId, plan);
  await insert(tx, attemptId, [...plan.head, ...plan.tail]);
  const gone = [...evicted, ...plan.leftOut.map(({ seq, stream, data }) => goneOf(seq, stream, data, data.byteLength))];
  const evictedBytes = evicted.reduce((sum, { length }) => sum + length, 0);
  const tailBytes = lengthOf(plan.tail) - evictedBytes;
  await tx.execute(noteOutput, [
    attemptId,
    plan.lastSeq,
    plan.headLastSeq,
    lengthOf(plan.head) + tailBytes,
    tailBytes,
    gone.reduce((sum, { bytes }) => sum + bytes, 0),
    gone.length === 0 ? null : Math.max(...gone.map(({ seq }) => seq)),
  ]);
  return plan.lastSeq;
}

interface Gone {
  readonly seq: number;
  /** As stored. */
  readonly length: number;
  /** Output that is gone with it. */
  readonly bytes: number;
}

function goneOf(seq: number, stream: OutputStream, data: Uint8Array | null, length: number): Gone {
  return { seq, length, bytes: bytesGone(stream, data, length) };
}

async function evict(tx: Transaction, attemptId: string, plan: OutputPlan): Promise<readonly Gone[]> {
  if (plan.evictBytes === 0) return [];
  const rows = await tx.query(evictOutput, [attemptId, plan.headLastSeq, plan.evictBytes]);
  return rows.map(({ seq, stream, length, note }) => goneOf(seq, stream, note, length));
}

async function insert(tx: Transaction, attemptId: string, chunks: readonly OutputChunk[]): Promise<void> {
  if (chunks.length === 0) return;
  await tx.execute(insertOutput, [
    attemptId,
    chunks.map(({ seq }) => seq),
    chunks.map(({ stream }) => stream),
    chunks.map(({ atMs }) => atMs),
    chunks.map(({ data }) => Buffer.from(data)),
  ]);
}

function lengthOf(chunks: readonly OutputChunk[]): number {
  return chunks.reduce((sum, { data }) => sum + data.byteLength, 0);
}

const selectOutput = defineStatement<{
  readonly seq: number;
  readonly stream: OutputStream;
  readonly at: number;
  readonly data: Buffer;
  readonly left_out_bytes: number | null;
}>({
  name: "task_output_after",
  text: `
    (SELECT seq, stream, at, data, NULL::bigint AS left_out_bytes
       FROM task_output WHERE attempt_id = $1 AND seq > $2 ORDER BY seq LIMIT $3)
    UNION ALL
    SELECT a.output_gap_seq, 'headroom',
           (SELECT n.at FROM task_output n WHERE n.attempt_id = $1 AND n.seq > a.output_gap_seq ORDER BY n.seq LIMIT 1),
           ''::bytea, a.output_dropped_bytes
      FROM attempts a WHERE a.attempt_id = $1 AND a.output_gap_seq > $2 AND a.output_tail_bytes > 0
     ORDER BY seq LIMIT $3`,
});

/** What is left out has a note in its place, under the number of the last piece that is missing. */
export async function readOutput(
  db: Queryable,
  attemptId: string,
  afterSeq: number,
  limit: number,
): Promise<readonly OutputChunk[]> {
  const rows = await db.query(selectOutput, [attemptId, afterSeq, limit]);
  return rows.map(({ seq, stream, at, data, left_out_bytes: leftOutBytes }) => ({
    seq,
    stream,
    atMs: at,
    data: leftOutBytes === null ? data : Buffer.from(leftOutNote(leftOutBytes)),
  }));
}

const selectDropped = defineStatement<{ readonly bytes: number }>({
  name: "attempts_output_dropped",
  text: `SELECT CASE WHEN output_tail_bytes = 0 THEN output_dropped_bytes ELSE 0 END AS bytes FROM attempts WHERE attempt_id = $1`,
});

/** Only of runs from before the end was kept: what is left out of others has its note in `readOutput`. */
export async function outputDroppedBytes(db: Queryable, attemptId: string): Promise<number> {
  const [row] = await db.query(selectDropped, [attemptId]);
  return row?.bytes ?? 0;
}
