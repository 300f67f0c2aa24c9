/** Which stream a chunk came from; "headroom" are words of ours, such as what was left out. */
export type ChunkSource = "stdout" | "stderr" | "headroom";

/** Where a chunk lies. */
export interface StoredChunk {
  readonly seq: number;
  readonly source: ChunkSource;
  readonly atMs: number;
  readonly segment: number;
  /** Of the data within the segment, in bytes. */
  readonly offset: number;
  readonly length: number;
}

/** Keeps the output of one attempt until it was delivered, in numbered segments that only grow and are removed whole. A port. */
export interface SegmentStore {
  /** What an earlier agent program left, in order of seq. */
  load(): Promise<readonly StoredChunk[]>;
  /** Appends a chunk to a segment and says where its data lies. */
  append(
    segment: number,
    chunk: { seq: number; source: ChunkSource; atMs: number },
    data: Buffer,
  ): Promise<StoredChunk>;
  read(chunk: StoredChunk): Promise<Buffer>;
  removeSegment(segment: number): Promise<void>;
  /** Lets go of files; what is stored stays. Idempotent. */
  close(): Promise<void>;
  /** Removes everything. Idempotent. */
  remove(): Promise<void>;
}

/** The stores of all attempts. */
export interface OutputStores {
  open(attemptId: string): SegmentStore;
  /** Attempts of which something is stored. */
  list(): Promise<readonly string[]>;
}
