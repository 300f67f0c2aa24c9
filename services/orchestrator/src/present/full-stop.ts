/** Some sentences end with what somebody else wrote, which may have a full stop or not; another one is to follow. */
export function fullStop(sentence: string): string {
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}
