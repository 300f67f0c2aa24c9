/** Cards, attempts and needs as they stand in jsonb columns: snake_case, for people who read them with SQL. */
import type { AttemptUse, Card, CardAmount, Needs } from "@headroom/scheduling";

interface CardAmountJson {
  readonly card_id: string;
  readonly vram_mib: number;
  readonly exclusive: boolean;
}

export interface CardJson {
  readonly card_id: string;
  readonly index: number;
  readonly model: string;
  readonly vram_total_mib: number;
  readonly vram_available_mib: number;
  readonly vram_offer_mib: number;
  readonly declared: boolean;
  readonly shared_memory: boolean;
}

export interface AttemptUseJson {
  readonly attempt_id: string;
  readonly fence: number;
  readonly cpu_millicores: number;
  readonly memory_mib: number;
  readonly cards: readonly CardAmountJson[];
}

export interface NeedsJson {
  readonly cpu_millicores: number;
  readonly memory_mib: number;
  readonly gpu_count: number;
  readonly gpu_vram_mib: number;
  readonly gpu_exclusive: boolean;
  readonly gpu_models: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly pool: string | null;
  readonly agent_id: string | null;
}

export type CardAmountsJson = readonly CardAmountJson[];

export function cardAmountsToJson(cards: readonly CardAmount[]): CardAmountsJson {
  return cards.map(({ cardId, vramMib, exclusive }) => ({ card_id: cardId, vram_mib: vramMib, exclusive }));
}

export function cardAmountsFromJson(cards: CardAmountsJson): readonly CardAmount[] {
  return cards.map(({ card_id, vram_mib, exclusive }) => ({ cardId: card_id, vramMib: vram_mib, exclusive }));
}

export function cardToJson(card: Card): CardJson {
  return {
    card_id: card.cardId,
    index: card.index,
    model: card.model,
    vram_total_mib: card.vramTotalMib,
    vram_available_mib: card.vramAvailableMib,
    vram_offer_mib: card.vramOfferMib,
    declared: card.declared,
    shared_memory: card.sharedMemory,
  };
}

export function cardFromJson(json: CardJson): Card {
  return {
    cardId: json.card_id,
    index: json.index,
    model: json.model,
    vramTotalMib: json.vram_total_mib,
    vramAvailableMib: json.vram_available_mib,
    vramOfferMib: json.vram_offer_mib,
    declared: json.declared,
    sharedMemory: json.shared_memory,
  };
}

export function attemptUseToJson({ attemptId, fence, used }: AttemptUse): AttemptUseJson {
  return {
    attempt_id: attemptId,
    fence,
    cpu_millicores: used.cpuMillicores,
    memory_mib: used.memoryMib,
    cards: cardAmountsToJson(used.cards),
  };
}

export function attemptUseFromJson(json: AttemptUseJson): AttemptUse {
  const cards = cardAmountsFromJson(json.cards);
  const used = { cpuMillicores: json.cpu_millicores, memoryMib: json.memory_mib, cards };
  return { attemptId: json.attempt_id, fence: json.fence, used };
}

export function needsToJson(needs: Needs): NeedsJson {
  return {
    cpu_millicores: needs.cpuMillicores,
    memory_mib: needs.memoryMib,
    gpu_count: needs.gpuCount,
    gpu_vram_mib: needs.gpuVramMib,
    gpu_exclusive: needs.gpuExclusive,
    gpu_models: needs.gpuModels,
    labels: needs.labels,
    pool: needs.pool,
    agent_id: needs.agentId,
  };
}

export function needsFromJson(json: NeedsJson): Needs {
  return {
    cpuMillicores: json.cpu_millicores,
    memoryMib: json.memory_mib,
    gpuCount: json.gpu_count,
    gpuVramMib: json.gpu_vram_mib,
    gpuExclusive: json.gpu_exclusive,
    gpuModels: json.gpu_models,
    labels: json.labels,
    pool: json.pool,
    agentId: json.agent_id,
  };
}
