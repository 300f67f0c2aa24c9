import { importKoffi, type Koffi } from "../koffi.ts";

/** When a process was started, as the system counts; null: it cannot be told. Never rejects. */
export type StartTimeOf = (pid: number) => Promise<bigint | null>;

/** The least right by which a process tells its times: PROCESS_QUERY_LIMITED_INFORMATION. */
const queryRight = 0x1000;
const fileTimeBytes = 8;

type ReadStartTime = (pid: number) => bigint | null;

/** Asks Windows itself, which takes microseconds; without the optional package koffi nothing is told. */
export function windowsStartTimes(load: () => Promise<Koffi | null> = importKoffi): StartTimeOf {
  let reading: Promise<ReadStartTime | null> | undefined;
  return async (pid) => {
    reading ??= load().then(
      (koffi) => (koffi === null ? null : openKernel(koffi)),
      () => null,
    );
    const read = await reading;
    try {
      return read?.(pid) ?? null;
    } catch {
      return null;
    }
  };
}

function openKernel(koffi: Koffi): ReadStartTime | null {
  try {
    const kernel = koffi.load("kernel32.dll");
    // Handles are passed as 64-bit numbers.
    const open = kernel.func("uint64_t OpenProcess(uint32_t access, int inherit, uint32_t pid)");
    const times = kernel.func(
      "int GetProcessTimes(uint64_t process, void *created, void *ended, void *kernel, void *user)",
    );
    const close = kernel.func("int CloseHandle(uint64_t handle)");
    return (pid) => {
      const handle = open(queryRight, 0, pid);
      if (BigInt(handle) === 0n) return null;
      try {
        const [created, ended, kernelTime, userTime] = [1, 2, 3, 4].map(() => Buffer.alloc(fileTimeBytes)) as [
          Buffer,
          Buffer,
          Buffer,
          Buffer,
        ];
        return Number(times(handle, created, ended, kernelTime, userTime)) === 0 ? null : created.readBigUInt64LE(0);
      } finally {
        close(handle);
      }
    };
  } catch {
    return null;
  }
}
