import { weightOf } from "../output/backlog.ts";
import type { OutputPiece, OutputSpool } from "../output/output-spool.ts";

export interface OutputSenderOptions {
  /** Sends a piece; false: the transport is full, hold back until `resume`. */
  send(piece: OutputPiece): boolean;
  /** Everything that is stored so far was sent. */
  onSentAll(): void;
}

/** Output on its way, of one attempt: so much may be sent before the service says that it is durable, what each piece takes beside its data counted. */
const windowBytes = 262_144;

/** Sends the output of one attempt over one stream, from the first piece that was not acknowledged. */
export class OutputSender {
  readonly #spool: OutputSpool;
  readonly #options: OutputSenderOptions;
  readonly #onTheWay = new Map<number, number>();
  #onTheWayBytes = 0;
  #sentSeq = 0;
  #isHeldBack = false;
  #isPumping = false;
  #wantsPump = false;
  #isClosed = false;

  constructor(spool: OutputSpool, options: OutputSenderOptions) {
    this.#spool = spool;
    this.#options = options;
  }

  /** Number of the last piece sent over this stream. */
  get sentSeq(): number {
    return this.#sentSeq;
  }

  /** There may be more to send. Rejects when stored output cannot be read. */
  async pump(): Promise<void> {
    this.#wantsPump = true;
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      while (this.#wantsPump && !this.#isClosed) {
        this.#wantsPump = false;
        await this.#sendAll();
      }
    } finally {
      this.#isPumping = false;
    }
  }

  /** The transport has room again. */
  resume(): Promise<void> {
    this.#isHeldBack = false;
    return this.pump();
  }

  /** All up to `seq` is durable. */
  acked(seq: number): Promise<void> {
    for (const [sent, bytes] of this.#onTheWay) {
      if (sent > seq) break;
      this.#onTheWay.delete(sent);
      this.#onTheWayBytes -= bytes;
    }
    return this.pump();
  }

  close(): void {
    this.#isClosed = true;
  }

  async #sendAll(): Promise<void> {
    while (!this.#isClosed && !this.#isHeldBack && this.#onTheWayBytes < windowBytes) {
      const piece = await this.#spool.read(this.#sentSeq + 1);
      if (this.#isClosed) return;
      if (piece === null) return this.#options.onSentAll();
      this.#sentSeq = piece.seq;
      const weight = weightOf(piece.data.length);
      this.#onTheWay.set(piece.seq, weight);
      this.#onTheWayBytes += weight;
      if (!this.#options.send(piece)) this.#isHeldBack = true;
    }
  }
}
