/** A process that can be called. */
export interface Endpoint {
  /** "registry-1" */
  readonly name: string;
  /** HOST:PORT */
  readonly address: string;
}

/** How the processes of a cluster reach each other. */
export interface Ways {
  /** What `caller` is given as the address of a service: its replicas, the caller's own first. */
  toService(caller: string, replicas: readonly Endpoint[]): Promise<string>;
  /** What `caller` is given as DATABASE_URL. */
  toDatabase(caller: string, connectionString: string): Promise<string>;
}

/** Each caller has a replica of its own, and nothing lies in between. */
export const straightWays: Ways = {
  toService: (_caller, [own]) => Promise.resolve(own!.address),
  toDatabase: (_caller, connectionString) => Promise.resolve(connectionString),
};
