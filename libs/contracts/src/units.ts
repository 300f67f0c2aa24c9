/**
 * Amounts on the wire (GiB and cores, doubles) and inside (integer MiB and millicores). What is asked for rounds up, what
 * is available rounds down, so that a promise is never larger than the machine.
 */

const MIB_PER_GB = 1024;
const MILLICORES_PER_CORE = 1000;

// 1.1 cores are 1100.0000000000002 millicores in binary fractions, and mean 1100. No one asks for a millionth of a unit.
const TOLERANCE = 1e-6;

/** 2^50: a zebibyte of MiB, or a trillion cores; also the limit of the .proto. Beyond it a figure is a mistake. */
export const MAX_UNITS = 1_125_899_906_842_624;

/** Memory asked for: GiB to MiB, rounded up. Throws RangeError for NaN, a negative or an absurd figure. */
export function mibFromGbRequested(gb: number): number {
  return roundUp(gb, MIB_PER_GB, "GB");
}

/**
 * Memory as an upper bound (`max_memory_gb`): GiB to MiB, rounded down; a bound beyond every machine is MAX_UNITS, and keeps nothing out. Throws
 * RangeError for NaN or a negative figure.
 */
export function mibFromGbAtMost(gb: number): number {
  return roundDown(gb, MIB_PER_GB, "GB");
}

/** MiB to GiB; exact. */
export function gbFromMib(mib: number): number {
  return mib / MIB_PER_GB;
}

/**
 * GiB that a service wrote with gbFromMib, back to the same MiB. A figure that no machine has is the nearest that one could have: whoever
 * reads of a whole fleet must not lose it for what one agent says.
 */
export function mibFromGb(gb: number): number {
  return clamped(gb, MIB_PER_GB);
}

/** CPU asked for: cores to millicores, rounded up. Throws RangeError for NaN, a negative or an absurd figure. */
export function millicoresFromCoresRequested(cores: number): number {
  return roundUp(cores, MILLICORES_PER_CORE, "cores");
}

/** CPU as an upper bound (`max_cpu_cores`): cores to millicores, as mibFromGbAtMost. */
export function millicoresFromCoresAtMost(cores: number): number {
  return roundDown(cores, MILLICORES_PER_CORE, "cores");
}

/** Millicores to cores: the double next to it. */
export function coresFromMillicores(millicores: number): number {
  return millicores / MILLICORES_PER_CORE;
}

/** Cores that a service wrote with coresFromMillicores, back to the same millicores; as mibFromGb. */
export function millicoresFromCores(cores: number): number {
  return clamped(cores, MILLICORES_PER_CORE);
}

function roundUp(amount: number, unitsEach: number, unit: string): number {
  // Math.max: a request of 1e-9 is one of 0, which must not become -0.
  return Math.max(0, Math.ceil(requireSane(amount, unitsEach, unit) * unitsEach - TOLERANCE));
}

function roundDown(amount: number, unitsEach: number, unit: string): number {
  const bound = Math.min(amount, MAX_UNITS / unitsEach);
  return Math.floor(requireSane(bound, unitsEach, unit) * unitsEach + TOLERANCE);
}

/** From 0 to MAX_UNITS; NaN is 0. */
function clamped(amount: number, unitsEach: number): number {
  return amount > 0 ? Math.min(MAX_UNITS, Math.round(amount * unitsEach)) : 0;
}

function requireSane(amount: number, unitsEach: number, unit: string): number {
  if (amount >= 0 && amount * unitsEach <= MAX_UNITS) return amount;
  throw new RangeError(`${amount} ${unit} is no amount: it must be a number from 0 to ${MAX_UNITS / unitsEach}`);
}
