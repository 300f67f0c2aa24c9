import { enumNumberOf, descriptorRegistry } from "@headroom/contracts";
import { InvalidArgumentError } from "commander";
import { durationExample, parseDuration } from "./plan-file/duration.ts";
import { nearest } from "./plan-file/suggest.ts";

/** A number of at least `min`, for an option. */
export function numberFrom(min: number, unit: string): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (Number.isFinite(value) && value >= min) return value;
    throw new InvalidArgumentError(`It must be a number of ${unit}, ${min} or more.`);
  };
}

/** A number from 0 to `max`, for an option. */
export function shareUpTo(max: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (value >= 0 && value <= max) return value;
    throw new InvalidArgumentError(`It must be a number from 0 to ${max}.`);
  };
}

/** A duration in milliseconds, for an option. */
export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== null) return ms;
  throw new InvalidArgumentError(`It must be a duration, such as ${durationExample}.`);
}

/** A whole number from `min` to `max`, for an option. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** An option that may be repeated or hold a comma-separated list. */
export function collect(text: string, before: readonly string[] = []): string[] {
  return [
    ...before,
    ...text
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== ""),
  ];
}

/** `key=value`, for an option that may be repeated. */
export function collectPairs(text: string, before: readonly string[] = []): string[] {
  if (!/^[^=]+=/.test(text)) throw new InvalidArgumentError("Write it as key=value.");
  return [...before, text];
}

/** What `collectPairs` has collected, by key. */
export function pairsOf(pairs: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = "", ...value] = pair.split("=");
      return [key, value.join("=")];
    }),
  );
}

/** One of an enum's words; answers its number. */
export function enumOption(typeName: string, words: readonly string[]): (text: string) => number {
  return (text) => {
    const type = descriptorRegistry().getEnum(typeName);
    const number = type === undefined ? undefined : enumNumberOf(type, text.replaceAll("-", "_"));
    if (number !== undefined && number !== 0) return number;
    const meant = nearest(text, words);
    const hint = meant === null ? "" : ` Did you mean ${meant}?`;
    throw new InvalidArgumentError(`It must be one of ${words.join(", ")}.${hint}`);
  };
}

/** Words of an enum, for an option that may be repeated or hold a comma-separated list; answers their numbers, each once. */
export function enumListOption(
  typeName: string,
  words: readonly string[],
): (text: string, before?: readonly number[]) => number[] {
  const parse = enumOption(typeName, words);
  return (text, before = []) => [...new Set([...before, ...text.split(",").map((part) => parse(part.trim()))])];
}
