import { setImmediate } from "node:timers/promises";

/** Resolves when what sockets and files have ready by now has been handled: timers that fell due in between come before that. */
export function nextTurn(): Promise<void> {
  return setImmediate();
}
