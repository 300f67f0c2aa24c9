/**
 * Which answers to a question that is asked again and again are logged. A person who asks sees the answer in the log; a dashboard that asks every
 * second must not push all else out of it.
 */
import { LineBudget } from "../liveness/line-budget.ts";

/** An answer like the one before it is told again after so long. */
const RETELL_MS = 60_000;
/** Of one question, however often its answer changes. */
const TOLD = { lines: 5, perMs: RETELL_MS };
/** A digest and a few figures each. */
const MAX_QUESTIONS = 1_000;

/** What was told of one question. */
class Told {
  readonly #lines = new LineBudget(TOLD);
  #answer: number | null = null;
  #atMs = Number.NEGATIVE_INFINITY;
  #withheld = 0;

  take(answer: number, nowMs: number): { readonly mayWrite: boolean; readonly withheld: number } {
    const isNews = answer !== this.#answer || nowMs - this.#atMs >= RETELL_MS;
    if (!isNews || !this.#lines.take(nowMs).mayWrite) {
      this.#withheld += 1;
      return { mayWrite: false, withheld: 0 };
    }
    const withheld = this.#withheld;
    this.#answer = answer;
    this.#atMs = nowMs;
    this.#withheld = 0;
    return { mayWrite: true, withheld };
  }
}

export class AnswerLines {
  /** The one asked last is the last: of more than there may be the one that was not asked for longest is forgotten. */
  readonly #told = new Map<string, Told>();

  /** Whether this answer is logged; `withheld`: how many answers to the question were not, since the last that was. */
  take(question: string, answer: number, nowMs: number): { readonly mayWrite: boolean; readonly withheld: number } {
    const told = this.#told.get(question) ?? new Told();
    this.#told.delete(question);
    const oldest = this.#told.size >= MAX_QUESTIONS ? this.#told.keys().next().value : undefined;
    if (oldest !== undefined) this.#told.delete(oldest);
    this.#told.set(question, told);
    return told.take(answer, nowMs);
  }
}
