import { connect, createServer, type NetConnectOpts, type Server, type Socket } from "node:net";
import { FaultyPipe, resetSocket } from "./faulty-pipe.ts";
import { Lane } from "./lane.ts";

/** From one caller to one process that it may reach: both directions of all connections between them. */
export class Road {
  readonly caller: string;
  readonly callee: string;
  /** What the caller says. */
  readonly there = new Lane();
  /** What it hears. */
  readonly back = new Lane();
  readonly target: NetConnectOpts;
  readonly #pairs = new Set<Pair>();

  constructor(caller: string, callee: string, target: NetConnectOpts) {
    this.caller = caller;
    this.callee = callee;
    this.target = target;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** A connection is made over it; refused where nobody listens. */
  async carry(near: Socket): Promise<"carried" | "refused"> {
    // Neither would the first packet arrive, nor its answer.
    await Promise.all([this.there.open(), this.back.open()]);
    if (near.destroyed) return "carried";
    const far = await connected(this.target);
    if (far === null) return "refused";
    const pair = new Pair(near, far, this);
    this.#pairs.add(pair);
    void pair.whenClosed.then(() => this.#pairs.delete(pair));
    return "carried";
  }

  /** Both ends are told at once. */
  reset(): void {
    for (const pair of this.#pairs) pair.reset();
  }

  /**
   * What is connected now goes nowhere any more, and neither end is ever told: the way in between has forgotten it, or the machine over
   * there has lost its power. New connections are made as ever.
   */
  forget(): void {
    for (const pair of this.#pairs) pair.forget();
  }

  close(): void {
    for (const pair of this.#pairs) pair.reset();
    this.there.mend();
    this.back.mend();
  }
}

/** One connection: two sockets, and a pipe in each direction. */
class Pair {
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #pipes: readonly FaultyPipe[];
  readonly whenClosed: Promise<unknown>;

  constructor(near: Socket, far: Socket, road: Road) {
    this.#near = near;
    this.#far = far;
    this.#pipes = [new FaultyPipe(near, far, road.there), new FaultyPipe(far, near, road.back)];
    this.whenClosed = Promise.all([closed(near), closed(far)]);
  }

  reset(): void {
    resetSocket(this.#near);
    resetSocket(this.#far);
  }

  forget(): void {
    for (const pipe of this.#pipes) pipe.forget();
  }
}

/** An address at which a caller reaches the replicas of a service, as behind a balancer: the next connection goes to the next of them. */
export interface FaultyLink {
  /** HOST:PORT to call. */
  readonly address: string;
  readonly roads: readonly Road[];
  close(): Promise<void>;
}

export async function openFaultyLink(roads: readonly Road[]): Promise<FaultyLink> {
  const nears = new Set<Socket>();
  let next = 0;

  async function take(near: Socket): Promise<void> {
    for (let tries = 0; tries < roads.length; tries += 1) {
      const road = roads[next % roads.length]!;
      next += 1;
      if ((await road.carry(near)) === "carried") return;
    }
    // As a closed port says it.
    resetSocket(near);
  }

  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (near) => {
    nears.add(near);
    near.on("close", () => nears.delete(near));
    near.on("error", () => near.destroy());
    void take(near);
  });
  const port = await listen(server);
  return {
    address: `127.0.0.1:${port}`,
    roads,
    async close() {
      const isClosed = new Promise((resolve) => server.close(resolve));
      for (const road of roads) road.close();
      for (const near of nears) near.destroy();
      await isClosed;
    },
  };
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const bound = server.address();
      if (bound === null || typeof bound === "string") reject(new Error("the link has no port"));
      else resolve(bound.port);
    });
  });
}

/** Null: nobody listens there. */
function connected(target: NetConnectOpts): Promise<Socket | null> {
  return new Promise((resolve) => {
    const far = connect({ ...target, allowHalfOpen: true, noDelay: true });
    far.pause();
    far.once("connect", () => resolve(far));
    far.on("error", () => {
      far.destroy();
      resolve(null);
    });
  });
}

function closed(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => {
    if (socket.closed) resolve(undefined);
    else socket.once("close", resolve);
  });
}
