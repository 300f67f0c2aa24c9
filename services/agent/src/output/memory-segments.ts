import type { OutputStores, SegmentStore, StoredChunk } from "./segment-store.ts";

/** Stores in memory, for simulations and tests. Give the same one to the next agent. */
export function memoryOutputStores(): OutputStores {
  const attempts = new Map<string, Map<StoredChunk, Buffer>>();
  return {
    list: () => Promise.resolve([...attempts.keys()]),
    open(attemptId): SegmentStore {
      const chunks = attempts.get(attemptId) ?? new Map<StoredChunk, Buffer>();
      attempts.set(attemptId, chunks);
      return {
        load: () => Promise.resolve({ chunks: [...chunks.keys()], unreadable: [] }),
        append(segment, { seq, source, atMs }, data) {
          const chunk = { seq, source, atMs, segment, offset: 0, length: data.length };
          chunks.set(chunk, data);
          return Promise.resolve(chunk);
        },
        read(chunk) {
          const data = chunks.get(chunk);
          return data === undefined ? Promise.reject(new Error("it was removed")) : Promise.resolve(data);
        },
        removeSegment(segment) {
          for (const chunk of chunks.keys()) if (chunk.segment === segment) chunks.delete(chunk);
          return Promise.resolve();
        },
        close: () => Promise.resolve(),
        remove() {
          attempts.delete(attemptId);
          return Promise.resolve();
        },
      };
    },
  };
}
