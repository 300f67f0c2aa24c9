import type { wire } from "@headroom/contracts";

/** DESIGN 4: a sample is sent when it changed by more than this share of the total. */
const noticeableShare = 0.05;

/** Whether a sample differs enough from the one sent last to be sent. */
export function hasChanged(before: wire.Sample, now: wire.Sample): boolean {
  return (
    dimensionChanged(before.cpuMillicores, now.cpuMillicores) ||
    dimensionChanged(before.memoryMib, now.memoryMib) ||
    before.cards.length !== now.cards.length ||
    before.cards.some((card, index) => cardChanged(card, now.cards[index])) ||
    attemptsChanged(before, now)
  );
}

/** Whether another set of attempts, or another fence of one, is listed. */
export function attemptsDiffer(before: wire.Sample, now: wire.Sample): boolean {
  const key = (sample: wire.Sample): string =>
    sample.attempts
      .map((attempt) => `${attempt.attemptId} ${attempt.fence}`)
      .sort()
      .join(",");
  return key(before) !== key(now);
}

function attemptsChanged(before: wire.Sample, now: wire.Sample): boolean {
  if (attemptsDiffer(before, now)) return true;
  const cpuTotal = now.cpuMillicores?.total ?? 0;
  const memoryTotal = now.memoryMib?.total ?? 0;
  const vramTotals = new Map(now.cards.map((card) => [card.cardId, card.vramMib?.total ?? 0]));
  return now.attempts.some((attempt) => {
    const earlier = before.attempts.find((candidate) => candidate.attemptId === attempt.attemptId);
    if (earlier === undefined) return true;
    return (
      isNoticeable(earlier.cpuMillicores, attempt.cpuMillicores, cpuTotal) ||
      isNoticeable(earlier.memoryMib, attempt.memoryMib, memoryTotal) ||
      attempt.cards.some((card) => {
        const was = earlier.cards.find((candidate) => candidate.cardId === card.cardId)?.vramMib ?? 0;
        return isNoticeable(was, card.vramMib, vramTotals.get(card.cardId) ?? 0);
      })
    );
  });
}

function cardChanged(before: wire.CardSample, now: wire.CardSample | undefined): boolean {
  return now === undefined || before.cardId !== now.cardId || dimensionChanged(before.vramMib, now.vramMib);
}

function dimensionChanged(before: wire.Dimension | undefined, now: wire.Dimension | undefined): boolean {
  if (before === undefined || now === undefined) return before !== now;
  return (
    before.total !== now.total ||
    before.offer !== now.offer ||
    before.declared !== now.declared ||
    isNoticeable(before.available, now.available, now.total)
  );
}

function isNoticeable(before: number, now: number, total: number): boolean {
  return Math.abs(now - before) > total * noticeableShare;
}
