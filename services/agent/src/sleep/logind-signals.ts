/**
 * Reads what the tools that watch a message bus print of logind's signal PrepareForSleep: `gdbus monitor` one line, such as
 * `/org/freedesktop/login1: org.freedesktop.login1.Manager.PrepareForSleep (true,)`; `dbus-monitor` a line with the member's name
 * and below it its argument, `   boolean true`.
 */
export class SleepSignalReader {
  #rest = "";
  /** The line before named the signal, and its argument follows. */
  #expectsArgument = false;

  /** The signals that became whole with this text: true, about to sleep; false, back. */
  read(text: string): readonly boolean[] {
    const lines = (this.#rest + text).split("\n");
    this.#rest = (lines.pop() ?? "").slice(-longestLine);
    const signals = lines.flatMap((line) => this.#readLine(line));
    // The last line feed may come with the next message only.
    if (!this.#expectsArgument || !argumentOf.test(this.#rest)) return signals;
    const late = this.#readLine(this.#rest);
    this.#rest = "";
    return [...signals, ...late];
  }

  #readLine(line: string): readonly boolean[] {
    const whole = /\.PrepareForSleep \((true|false),?\)/.exec(line);
    if (whole !== null) return [whole[1] === "true"];
    const argument = this.#expectsArgument ? argumentOf.exec(line) : null;
    this.#expectsArgument = /^signal .*member=PrepareForSleep\s*$/.test(line);
    return argument === null ? [] : [argument[1] === "true"];
  }
}

const argumentOf = /^\s+boolean (true|false)\s*$/;
const longestLine = 4_096;
