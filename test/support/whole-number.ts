/** The value of a command's argument: a whole number of `least` or more. Throws with the name and the way out. */
export function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new Error(`--${name} must be a whole number of ${least} or more, not "${text}"`);
}
