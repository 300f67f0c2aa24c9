import { systemClock, type Clock } from "./clock.ts";
import { systemRandom, type Random } from "./random.ts";
import { systemTimers, type Timers } from "./timers.ts";

/** What a loop or a handler takes from the outside; a simulation gives its own. */
export interface Ports {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

export const systemPorts: Ports = { clock: systemClock, timers: systemTimers, random: systemRandom };
