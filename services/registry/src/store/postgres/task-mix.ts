/** The mix of tasks that placement has learned: what each process saw is added to what all have, in one transaction. */
import { type Database, defineStatement, type Transaction } from "@headroom/postgres";
import { MIX_HALF_LIFE_ARRIVALS, MIX_MAX_SHAPES } from "@headroom/scheduling";
import type { KeptMix, KeptShape } from "../registry-store.ts";

interface ShapeRow {
  readonly cpu_millicores: number;
  readonly gpu_count: number;
  readonly gpu_vram_mib: number;
  readonly gpu_exclusive: boolean;
  readonly gpu_models: readonly string[];
  readonly arrivals: number;
}

// It locks the row: other processes wait here until this transaction has ended.
const count = defineStatement<{ readonly arrivals: number; readonly since: number }>({
  name: "registry_task_mix_count",
  text: `
INSERT INTO task_mix_total AS t (singleton, arrivals) VALUES (true, $1)
ON CONFLICT (singleton) DO UPDATE SET arrivals = t.arrivals + excluded.arrivals
RETURNING arrivals, since`,
});

const total = defineStatement<{ readonly arrivals: number; readonly since: number }>({
  name: "registry_task_mix_total",
  text: `
SELECT arrivals, since FROM task_mix_total
UNION ALL SELECT 0, now() WHERE NOT EXISTS (SELECT 1 FROM task_mix_total)`,
});

const decay = defineStatement({
  name: "registry_task_mix_decay",
  text: `UPDATE task_mix SET arrivals = arrivals * $1::double precision`,
});

const add = defineStatement({
  name: "registry_task_mix_add",
  text: `
INSERT INTO task_mix AS m (cpu_millicores, gpu_count, gpu_vram_mib, gpu_exclusive, gpu_models, arrivals)
SELECT cpu_millicores, gpu_count, gpu_vram_mib, gpu_exclusive, gpu_models, arrivals
FROM jsonb_to_recordset($1::jsonb) AS r (
  cpu_millicores integer, gpu_count integer, gpu_vram_mib integer, gpu_exclusive boolean, gpu_models text[], arrivals double precision
)
ON CONFLICT (cpu_millicores, gpu_count, gpu_vram_mib, gpu_exclusive, gpu_models) DO UPDATE SET arrivals = m.arrivals + excluded.arrivals`,
});

const forgetRarest = defineStatement({
  name: "registry_task_mix_forget",
  text: `
DELETE FROM task_mix WHERE ctid IN (
  SELECT ctid FROM task_mix
  ORDER BY arrivals DESC, cpu_millicores, gpu_count, gpu_vram_mib, gpu_exclusive, gpu_models
  OFFSET $1
)`,
});

const list = defineStatement<ShapeRow>({
  name: "registry_task_mix_list",
  text: `
SELECT cpu_millicores, gpu_count, gpu_vram_mib, gpu_exclusive, gpu_models, arrivals FROM task_mix
ORDER BY arrivals DESC, cpu_millicores, gpu_count, gpu_vram_mib, gpu_exclusive, gpu_models`,
});

export function addToTaskMix(db: Database, fresh: readonly KeptShape[]): Promise<KeptMix> {
  return db.transaction((tx) => addIn(tx, fresh));
}

async function addIn(tx: Transaction, fresh: readonly KeptShape[]): Promise<KeptMix> {
  const arrived = fresh.reduce((sum, { arrivals }) => sum + arrivals, 0);
  // Without anything new nothing is written: a quiet fleet costs no writes.
  const [counted] = fresh.length > 0 ? await tx.query(count, [arrived]) : await tx.query(total);
  if (counted === undefined) throw new Error("the total of the task mix returned no row");
  if (fresh.length > 0) {
    await tx.execute(decay, [2 ** (-arrived / MIX_HALF_LIFE_ARRIVALS)]);
    await tx.execute(add, [JSON.stringify(fresh.map(rowOf))]);
    await tx.execute(forgetRarest, [MIX_MAX_SHAPES]);
  }
  const rows = await tx.query(list);
  return { shapes: rows.map(shapeOf), arrivals: counted.arrivals, sinceMs: counted.since };
}

function rowOf({ cpuMillicores, gpuCount, gpuVramMib, gpuExclusive, gpuModels, arrivals }: KeptShape): ShapeRow {
  return {
    cpu_millicores: cpuMillicores,
    gpu_count: gpuCount,
    gpu_vram_mib: gpuVramMib,
    gpu_exclusive: gpuExclusive,
    gpu_models: gpuModels,
    arrivals,
  };
}

function shapeOf(row: ShapeRow): KeptShape {
  return {
    cpuMillicores: row.cpu_millicores,
    gpuCount: row.gpu_count,
    gpuVramMib: row.gpu_vram_mib,
    gpuExclusive: row.gpu_exclusive,
    gpuModels: row.gpu_models,
    arrivals: row.arrivals,
  };
}
