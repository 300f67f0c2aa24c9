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

/** What an earlier agent program left of one attempt. */
export interface StoredOutput {
  /** In order of seq. */
  readonly chunks: readonly StoredChunk[];
  /** Segments that are there and cannot be read, and why. */
  readonly unreadable: readonly { readonly segment: number; readonly error: unknown }[];
}

/** Keeps the output of one attempt until it was delivered, in numbered segments that only grow and are removed whole. A port. */
export interface SegmentStore {
  /** What an earlier agent program left. Rejects when it cannot be told what that is. */
  load(): Promise<StoredOutput>;
  /** Appends a chunk to a segment and says where its data lies. */
  append(
    segment: number,
    chunk: { seq: number; source: ChunkSource; atMs: number },
    data: Buffer,
  ): Promise<StoredChunk>;
  /** All of a chunk. Rejects when it is not there, or not whole. */
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
