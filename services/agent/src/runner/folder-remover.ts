import type { Logger, Timers } from "@headroom/runtime";
import { removeTree } from "./remove-tree.ts";

/** What keeps a folder from being removed (a file that is held open, a disk that is full or away) often passes. */
export const removeAgainMs = 300_000;
/** Folders that are tried again; the oldest was tried most often, and goes to the next start of the agent. */
const maxKept = 256;

/** Removes the fresh folders of tasks with all in them, and tries again with those that cannot be removed. */
export class FolderRemover {
  readonly #timers: Timers;
  readonly #logger: Logger;
  readonly #kept = new Set<string>();
  /** Of earlier programs, and not removed yet. */
  readonly #left = new Set<string>();
  readonly #underWay = new Map<string, Promise<void>>();
  #isDue = false;

  constructor(timers: Timers, logger: Logger) {
    this.#timers = timers;
    this.#logger = logger;
  }

  /** Never rejects: what cannot be removed is said once, and tried again later. */
  async remove(path: string): Promise<void> {
    try {
      await this.#removeOnce(path);
    } catch (error) {
      this.#logger.warn(
        { err: error, path },
        "a task's working folder could not be removed; trying again now and then",
      );
      this.#keep(path);
    }
  }

  /** Removes what earlier programs have left, one after another: a folder may be huge. What is not removed when the program ends goes to the next start. Never rejects. */
  async removeLeft(paths: readonly string[]): Promise<void> {
    for (const path of paths) this.#left.add(path);
    for (const path of this.#left) {
      this.#left.delete(path);
      await this.remove(path);
    }
  }

  /** The folder is about to be used. Resolves when nothing removes it any more, and nothing will. */
  async forget(path: string): Promise<void> {
    this.#left.delete(path);
    this.#kept.delete(path);
    const underWay = this.#underWay.get(path);
    if (underWay === undefined) return;
    await underWay.catch(() => undefined);
    this.#kept.delete(path);
  }

  /** Rejects when it cannot be removed. */
  removeNow(path: string): Promise<void> {
    return this.#removeOnce(path);
  }

  #removeOnce(path: string): Promise<void> {
    const underWay = this.#underWay.get(path);
    if (underWay !== undefined) return underWay;
    const removal = removeTree(path, this.#timers).finally(() => this.#underWay.delete(path));
    this.#underWay.set(path, removal);
    return removal;
  }

  #keep(path: string): void {
    this.#kept.add(path);
    const [oldest] = this.#kept;
    if (this.#kept.size > maxKept && oldest !== undefined) this.#kept.delete(oldest);
    this.#tryLater();
  }

  #tryLater(): void {
    if (this.#isDue || this.#kept.size === 0) return;
    this.#isDue = true;
    this.#timers.after(removeAgainMs, () => void this.#tryAgain(), { keepAlive: false });
  }

  /** One after another: a folder may be huge. */
  async #tryAgain(): Promise<void> {
    for (const path of [...this.#kept]) {
      if (!this.#kept.has(path)) continue;
      try {
        await this.#removeOnce(path);
        this.#kept.delete(path);
        this.#logger.info({ path }, "a task's working folder could be removed at last");
      } catch (error) {
        this.#logger.debug({ err: error, path }, "a task's working folder still cannot be removed");
      }
    }
    this.#isDue = false;
    this.#tryLater();
  }
}
