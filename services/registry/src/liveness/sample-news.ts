/**
 * Registry processes on one database tell each other that they have written samples, so that each knows what agents told another within a second:
 * what is read only by looking each second may wait that long twice, at the writer and at the reader. Only a hint: whoever hears none looks all the same.
 */
import { type Listener, type Notifier, readNotification } from "@headroom/postgres";
import { lifecycle, type ManagedService } from "@headroom/runtime";
import type { Replicas } from "./replicas.ts";

/** Processes that have written samples, by their ids. */
const samplesChannel = "headroom_registry_samples";

export interface SampleNewsOptions {
  readonly replicaId: string;
  readonly replicas: Pick<Replicas, "hasOthers" | "newsHeard" | "forgetNews">;
  readonly notifier: Pick<Notifier, "notify"> | null;
  readonly listener: Pick<Listener, "subscribe"> | null;
}

export interface SampleNews extends ManagedService {
  /** This process has written some: tells the others, if there are any. */
  written(): void;
}

export function createSampleNews(options: SampleNewsOptions): SampleNews {
  const { replicaId, replicas, notifier, listener } = options;
  let leave: (() => void) | undefined;

  return {
    ...lifecycle({
      name: "sample news",
      start() {
        leave = listener?.subscribe(samplesChannel, (payload) => {
          const told = readNotification(payload);
          if (told.kind === "everything" || told.items.some((writer) => writer !== replicaId)) replicas.newsHeard();
        });
      },
      stop() {
        leave?.();
        replicas.forgetNews();
      },
    }),
    written() {
      if (replicas.hasOthers) notifier?.notify(samplesChannel, replicaId);
    },
  };
}
