import { type Logger, Outage, type Ports, type Service, type Timer } from "@headroom/runtime";
import type { Queryable } from "./pool.ts";
import { defineStatement } from "./statement.ts";

/**
 * Sends notifications after the change they tell of was committed, many as one: at most one NOTIFY per channel and
 * window. (One in every commit costs two thirds of the write rate at 16 connections: 14,400 down to 5,300 a second.)
 * Losing one is allowed, as the poll of whoever listens covers it.
 */
export interface Notifier extends Service {
  /**
   * Sends soon. `item` says what changed (an id without commas); items of a window travel together. Without it, or when
   * there are too many for one payload, the receiver is told to look at everything. Never throws, never waits.
   */
  notify(channel: string, item?: string): void;
  /** Sends what waits, now; resolves when it is sent or has failed. */
  flush(): Promise<void>;
}

/** What a payload of a Notifier says. */
export type Notification =
  | { readonly kind: "everything" }
  | { readonly kind: "items"; readonly items: readonly string[] };

export interface NotifierOptions {
  readonly database: Queryable;
  readonly logger: Logger;
  readonly ports: Ports;
  /** The least time between two notifications of a channel. Default 10. */
  readonly windowMs?: number;
}

/** NOTIFY takes payloads under 8,000 bytes. */
const maxPayloadBytes = 7_900;
/** Channels are per replica, so 1,000 is far beyond any fleet of replicas; more of them are dropped and counted. */
const maxChannels = 1_000;
/** Longest item: with it, one payload still holds a hundred. */
const maxItemBytes = 78;

const everything = "*";

interface NotifyRow {
  readonly sent: number;
}

const sendNotifications = defineStatement<NotifyRow>({
  name: "headroom_notify",
  text: `
    SELECT count(pg_notify(channel, payload)) AS sent
      FROM unnest($1::text[], $2::text[]) AS pending(channel, payload)`,
});

/** Reads a payload that a Notifier wrote; anything else means "look at everything". */
export function readNotification(payload: string): Notification {
  if (payload === "" || payload === everything) return { kind: "everything" };
  return { kind: "items", items: payload.split(",") };
}

export function createNotifier(options: NotifierOptions): Notifier {
  return new CoalescingNotifier(options);
}

class CoalescingNotifier implements Notifier {
  readonly #options: NotifierOptions;
  readonly #outage: Outage;
  readonly #pending = new Map<string, PendingItems>();
  #timer: Timer | undefined;
  #sending: Promise<void> | undefined;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#outage = new Outage(options.logger, {
      fails: "notifications are not sent now; polling covers it",
      works: "notifications are sent again",
    });
  }

  start(): Promise<void> {
    this.#stopped = false;
    return Promise.resolve();
  }

  /** Sends what waits, then takes no more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.flush();
  }

  notify(channel: string, item?: string): void {
    if (this.#stopped) return;
    let items = this.#pending.get(channel);
    if (items === undefined) {
      if (this.#pending.size >= maxChannels) {
        this.#options.logger.warn(
          { channel },
          "too many channels wait for their notification; this one is left to the poll",
        );
        return;
      }
      items = new PendingItems();
      this.#pending.set(channel, items);
    }
    items.add(item);
    this.#schedule();
  }

  async flush(): Promise<void> {
    // A send may be under way; what came meanwhile goes after it.
    while (this.#sending !== undefined || this.#pending.size > 0) {
      this.#timer?.cancel();
      this.#timer = undefined;
      this.#sending ??= this.#send();
      await this.#sending;
    }
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#sending !== undefined) return;
    const { clock, timers } = this.#options.ports;
    // The first after a quiet time goes at once; 0 lets the notifications of one turn travel together.
    const dueMs = Math.max(0, this.#lastSentMs + (this.#options.windowMs ?? 10) - clock.monotonic());
    this.#timer = timers.after(dueMs, () => {
      this.#timer = undefined;
      this.#sending ??= this.#send();
    });
  }

  /** Never rejects. */
  async #send(): Promise<void> {
    const channels = [...this.#pending.keys()];
    const payloads = [...this.#pending.values()].map((items) => items.payload());
    this.#pending.clear();
    this.#lastSentMs = this.#options.ports.clock.monotonic();
    try {
      await this.#options.database.query(sendNotifications, [channels, payloads]);
      this.#outage.worked();
    } catch (error) {
      this.#outage.failed(error, { channels: channels.length });
    }
    this.#sending = undefined;
    if (this.#pending.size > 0) this.#schedule();
  }
}

/** The items of one channel and window, bounded to one payload. */
class PendingItems {
  readonly #items = new Set<string>();
  #bytes = 0;
  #all = false;

  add(item: string | undefined): void {
    if (this.#all || (item !== undefined && this.#items.has(item))) return;
    const bytes = item === undefined ? 0 : Buffer.byteLength(item);
    const fits = bytes > 0 && bytes <= maxItemBytes && this.#bytes + bytes + 1 <= maxPayloadBytes;
    if (item === undefined || !fits || item.includes(",") || item === everything) {
      this.#all = true;
      this.#items.clear();
      return;
    }
    this.#items.add(item);
    this.#bytes += bytes + 1;
  }

  payload(): string {
    return this.#all ? everything : [...this.#items].join(",");
  }
}
