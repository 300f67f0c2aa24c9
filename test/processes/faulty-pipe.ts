import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Lane } from "./lane.ts";

/** So much may be on its way before the sender feels it. */
const windowBytes = 1_048_576;

interface Piece {
  /** "end": a FIN; "reset": an RST. */
  readonly data: Buffer | "end" | "reset";
  readonly dueMs: number;
}

/** One direction of one connection: what comes in at `from` goes out at `to` as its lane lets it. */
export class FaultyPipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #lane: Lane;
  readonly #pieces: Piece[] = [];
  #onTheWayBytes = 0;
  #lastDueMs = 0;
  #isForgotten = false;
  #isPumping = false;

  constructor(from: Socket, to: Socket, lane: Lane) {
    this.#from = from;
    this.#to = to;
    this.#lane = lane;
    from.on("data", (data: Buffer) => this.#take(data));
    from.on("end", () => this.#take("end"));
    from.on("error", () => this.#take("reset"));
    // Whatever has not been told yet; a socket that ended in good order has nothing left to say.
    from.on("close", (hadError) => hadError && this.#take("reset"));
    from.resume();
  }

  forget(): void {
    this.#isForgotten = true;
    this.#pieces.length = 0;
    this.#from.resume();
  }

  #take(data: Piece["data"]): void {
    if (this.#isForgotten) return;
    this.#lastDueMs = Math.max(this.#lastDueMs, performance.now() + this.#lane.nextDelayMs());
    this.#pieces.push({ data, dueMs: this.#lastDueMs });
    this.#onTheWayBytes += lengthOf(data);
    if (this.#onTheWayBytes > windowBytes) this.#from.pause();
    void this.#pump();
  }

  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#pieces.length > 0) {
      await this.#lane.open();
      const [piece] = this.#pieces;
      if (piece === undefined) break;
      const leftMs = piece.dueMs - performance.now();
      if (leftMs > 0) {
        await pause(leftMs);
        // It may have been cut meanwhile.
        continue;
      }
      this.#pieces.shift();
      await this.#deliver(piece.data);
    }
    this.#isPumping = false;
  }

  async #deliver(data: Piece["data"]): Promise<void> {
    if (this.#to.destroyed) return;
    if (data === "reset") resetSocket(this.#to);
    else if (data === "end") this.#to.end();
    else {
      if (!this.#to.write(data)) await drained(this.#to);
      this.#onTheWayBytes -= data.length;
      if (this.#onTheWayBytes <= windowBytes && !this.#from.destroyed) this.#from.resume();
    }
  }
}

/** With an RST where it is TCP (the database's socket may be a local one), and no FIN is on its way: libuv resets none that is shut down. */
export function resetSocket(socket: Socket): void {
  if (socket.remoteAddress === undefined || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

function lengthOf(data: Piece["data"]): number {
  return typeof data === "string" ? 0 : data.length;
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
  });
}
