/** Numbers and times for people; programs get JSON. */

/** "12", "1.5", "0.25": at most two places, and never 0 for something that is there. */
export function amount(value: number): string {
  if (value > 0 && value < 0.01) return "<0.01";
  return String(Number(value.toFixed(2)));
}

/** GiB with one place, below 0.1 with two: "3.2 GiB", "0.06 GiB"; never 0 for something that is there. */
export function gb(value: number): string {
  return value < 0.1 ? `${amount(value)} GiB` : `${Number(value.toFixed(1))} GiB`;
}

/** "3.2 / 24 GiB"; "-" when there is nothing of it. */
export function gbOf(available: number, total: number): string {
  return total === 0 ? "-" : `${Number(available.toFixed(1))} / ${gb(total)}`;
}

export function percent(value: number): string {
  return `${Math.round(value)} %`;
}

/** A span in two units at most: "850 ms", "12 s", "3 m 05 s", "2 h 10 m", "4 d 3 h". */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${String(seconds % 60).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, "0")} m`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** How long ago; "-" when never. A clock that is behind the service's shows no negative age. */
export function age(sinceMs: number | null, nowMs: number): string {
  return sinceMs === null ? "-" : span(Math.max(0, nowMs - sinceMs));
}

/** "2026-01-31 12:00:00Z"; "-" when absent. */
export function instant(atMs: number | null): string {
  return atMs === null ? "-" : `${new Date(atMs).toISOString().slice(0, 19).replace("T", " ")}Z`;
}

/** "12:00:00", UTC. */
export function timeOfDay(atMs: number): string {
  return new Date(atMs).toISOString().slice(11, 19);
}

/** Enough of an id to tell it from the others on a screen; commands accept it again. */
export function shortId(id: string): string {
  return id.slice(0, 8);
}

/** "1 task", "3 tasks". */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** A command for a shell: words that need it in single quotes. Cut to `maxLength`. */
export function commandLine(argv: readonly string[], maxLength: number): string {
  const quoted = argv.map((part) =>
    /^[\w@%+=:,./-]+$/.test(part) ? part : `'${part.replaceAll("'", String.raw`'\''`)}'`,
  );
  return cut(quoted.join(" ").replaceAll(/\s+/g, " "), maxLength);
}

/** At most `maxLength` characters, the last an ellipsis when something was left out. */
export function cut(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, Math.max(0, maxLength - 1))}…`;
}
