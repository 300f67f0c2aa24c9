/**
 * That an attempt was accepted or has started is told by its agent, and nobody waits for its commit: neither is acknowledged. Such
 * reports are held back for a moment, so that those of one attempt are written together, and of a short task all at once with its
 * result. Every report keeps its place among those of its attempt.
 */
import type { Timer, Timers } from "@headroom/runtime";
import type { Report, ReportAnswer, SubmitReport } from "./reports.ts";

export interface HoldOptions {
  readonly timers: Timers;
  /** A report is passed on after half of this at least, after all of it at most, ms; five times as late while there is other work. */
  readonly atMostMs: number;
}

interface Held {
  readonly report: Report;
  pass(): void;
}

/** Attempts whose reports are held; beyond it they are passed on at once. */
const maxAttempts = 10_000;
/** How often reports that are due give way to other work. */
const givesWayAtMost = 8;

/** `isBusy`: results are being written. */
export function holdReports(
  submit: SubmitReport,
  isBusy: () => boolean,
  { timers, atMostMs }: HoldOptions,
): SubmitReport {
  let gaveWay = 0;
  let young = new Map<string, Held[]>();
  let old = new Map<string, Held[]>();
  let timer: Timer | undefined;

  function passOn(attemptId: string): void {
    for (const generation of [old, young]) {
      const held = generation.get(attemptId);
      generation.delete(attemptId);
      for (const one of held ?? []) one.pass();
    }
  }

  function turn(): void {
    if (old.size > 0 && isBusy() && gaveWay < givesWayAtMost) {
      gaveWay += 1;
      timer = timers.after(atMostMs / 2, turn);
      return;
    }
    gaveWay = 0;
    const due = old;
    old = young;
    young = new Map();
    timer = old.size > 0 ? timers.after(atMostMs / 2, turn) : undefined;
    for (const held of due.values()) for (const one of held) one.pass();
  }

  function hold(report: Report): Promise<ReportAnswer> {
    timer ??= timers.after(atMostMs / 2, turn);
    return new Promise((resolve) => {
      const held = { report, pass: () => resolve(submit(report)) };
      const { attemptId } = report.attempt;
      const earlier = old.get(attemptId) ?? young.get(attemptId);
      if (earlier === undefined) young.set(attemptId, [held]);
      else earlier.push(held);
    });
  }

  return (report) => {
    const { attemptId } = report.attempt;
    if (report.kind === "runs" && old.size + young.size < maxAttempts) return hold(report);
    passOn(attemptId);
    return submit(report);
  };
}
