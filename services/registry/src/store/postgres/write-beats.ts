/** Writes the dirty rows of a second: samples, and when the last beats were. One row for each agent. */
import { defineStatement, type Queryable } from "@headroom/postgres";
import type { Sample } from "@headroom/scheduling";
import type { BeatWrite } from "../registry-store.ts";
import { attemptUseToJson, cardToJson } from "./sample-json.ts";
import { toJson } from "./to-json.ts";

const statement = defineStatement<{ readonly agent_id: string }>({
  name: "registry_write_beats",
  text: `
WITH beat AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS b(
    agent_id uuid, epoch bigint, silent_ms bigint, sampled_at_ms bigint,
    cpu_total bigint, cpu_available bigint, cpu_offer bigint, cpu_declared boolean, cpu_load double precision,
    memory_total bigint, memory_available bigint, memory_offer bigint, memory_declared boolean,
    gpu_count integer, gpu_models text, vram_total bigint, vram_available bigint, vram_offer bigint,
    cards jsonb, attempts jsonb)
), without_sample AS (
  UPDATE agent_liveness l
     SET last_beat_at = greatest(l.last_beat_at, now() - beat.silent_ms * interval '1 millisecond'), changed_at = now()
    FROM beat WHERE l.agent_id = beat.agent_id AND l.epoch = beat.epoch AND beat.sampled_at_ms IS NULL
)
INSERT INTO agent_samples AS s (agent_id, sampled_at, cpu_total_millicores, cpu_available_millicores,
  cpu_offer_millicores, cpu_declared, cpu_load_percent, memory_total_mib, memory_available_mib, memory_offer_mib,
  memory_declared, gpu_count, gpu_models, vram_total_mib, vram_available_mib, vram_offer_mib, cards, attempts, epoch,
  beat_at)
SELECT beat.agent_id, to_timestamp(sampled_at_ms / 1000.0), cpu_total, cpu_available, cpu_offer, cpu_declared, cpu_load,
       memory_total, memory_available, memory_offer, memory_declared, gpu_count, gpu_models,
       vram_total, vram_available, vram_offer, cards, attempts, beat.epoch,
       now() - beat.silent_ms * interval '1 millisecond'
  FROM beat JOIN agent_liveness l ON l.agent_id = beat.agent_id AND l.epoch = beat.epoch
 WHERE sampled_at_ms IS NOT NULL
ON CONFLICT (agent_id) DO UPDATE
   SET sampled_at = excluded.sampled_at,
       cpu_total_millicores = excluded.cpu_total_millicores,
       cpu_available_millicores = excluded.cpu_available_millicores,
       cpu_offer_millicores = excluded.cpu_offer_millicores, cpu_declared = excluded.cpu_declared,
       cpu_load_percent = excluded.cpu_load_percent, memory_total_mib = excluded.memory_total_mib,
       memory_available_mib = excluded.memory_available_mib, memory_offer_mib = excluded.memory_offer_mib,
       memory_declared = excluded.memory_declared, gpu_count = excluded.gpu_count, gpu_models = excluded.gpu_models,
       vram_total_mib = excluded.vram_total_mib, vram_available_mib = excluded.vram_available_mib,
       vram_offer_mib = excluded.vram_offer_mib, cards = excluded.cards, attempts = excluded.attempts,
       epoch = excluded.epoch, beat_at = excluded.beat_at, changed_at = now()
 WHERE s.epoch <= excluded.epoch
RETURNING s.agent_id`,
});

export async function writeBeats(db: Queryable, beats: readonly BeatWrite[]): Promise<void> {
  const rows = beats.map(({ agentId, epoch, silentMs, sample }) => ({
    agent_id: agentId,
    epoch,
    silent_ms: Math.max(0, Math.round(silentMs)),
    ...(sample !== null && sampleColumns(sample)),
  }));
  await db.query(statement, [toJson(rows)]);
}

function sampleColumns({ sampledAtMs, cpu, cpuLoadPercent, memory, cards, attempts }: Sample): object {
  const sum = (amounts: readonly number[]): number => amounts.reduce((total, amount) => total + amount, 0);
  return {
    sampled_at_ms: sampledAtMs,
    cpu_total: cpu.total,
    cpu_available: cpu.available,
    cpu_offer: cpu.offer,
    cpu_declared: cpu.declared,
    cpu_load: cpuLoadPercent,
    memory_total: memory.total,
    memory_available: memory.available,
    memory_offer: memory.offer,
    memory_declared: memory.declared,
    gpu_count: cards.length,
    gpu_models: [...new Set(cards.map((card) => card.model))].join(", "),
    vram_total: sum(cards.map((card) => card.vramTotalMib)),
    vram_available: sum(cards.map((card) => card.vramAvailableMib)),
    vram_offer: sum(cards.map((card) => card.vramOfferMib)),
    cards: cards.map(cardToJson),
    attempts: attempts.map(attemptUseToJson),
  };
}
