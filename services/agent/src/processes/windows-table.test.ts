import { describe, expect, it } from "vitest";
import type { Koffi, NativeFunction } from "../koffi.ts";
import { unknownStart } from "./process-table.ts";
import { windowsStartTimes } from "./windows-start-times.ts";
import { windowsProcessTable } from "./windows-table.ts";

/** As much of kernel32 as is asked; `startTime` null: it refuses. Windows itself is in no test. */
function kernel(startTime: bigint | null, handle = 77): { koffi: Koffi; open: Set<number> } {
  const open = new Set<number>();
  const functions: Readonly<Record<string, (...args: never[]) => number>> = {
    OpenProcess(_access: number, _inherit: number, pid: number) {
      expect(pid).toBe(process.pid);
      if (handle !== 0) open.add(handle);
      return handle;
    },
    GetProcessTimes(process: number, created: Buffer) {
      expect(open.has(process)).toBe(true);
      if (startTime === null) return 0;
      created.writeBigUInt64LE(startTime);
      return 1;
    },
    CloseHandle: (closed: number) => (open.delete(closed) ? 1 : 0),
  };
  const func = (declaration: string): NativeFunction => {
    const name = /(\w+)\(/.exec(declaration)?.[1] ?? "";
    return functions[name] as unknown as NativeFunction;
  };
  return { koffi: { load: () => ({ func }) }, open };
}

const tokenWith = (koffi: Koffi | null, pid = process.pid): Promise<string | null> =>
  windowsProcessTable(windowsStartTimes(() => Promise.resolve(koffi))).startToken(pid);

describe("a process on Windows", () => {
  it("is known by when it was started, for a pid is soon another's", async () => {
    const { koffi, open } = kernel(133_700_000_000_000_001n);
    expect(await tokenWith(koffi)).toBe("windows 133700000000000001");
    expect(open.size).toBe(0);
  });

  it("is not known where that cannot be told", async () => {
    const refusing = kernel(null);
    expect(await tokenWith(refusing.koffi)).toBe(unknownStart);
    expect(refusing.open.size).toBe(0);
    expect(await tokenWith(kernel(1n, 0).koffi)).toBe(unknownStart);
    expect(await tokenWith(null)).toBe(unknownStart);
    const broken: Koffi = {
      load: () => {
        throw new Error("not this system's");
      },
    };
    expect(await tokenWith(broken)).toBe(unknownStart);
  });

  it("is gone when nobody has its pid", async () => {
    expect(await tokenWith(kernel(1n).koffi, 2 ** 30)).toBeNull();
  });

  it("V8: is told by the moment of its start, or by a boot since, where its start was not noted", async () => {
    const atMs = 1_700_000_000_000;
    const startTime = BigInt(atMs + 11_644_473_600_000) * 10_000n;
    const told = windowsProcessTable(() => Promise.resolve(startTime));
    expect(await told.wasStartedAt(7, atMs + 900)).toBe(true);
    expect(await told.wasStartedAt(7, atMs + 60_000)).toBe(false);
    const untold = windowsProcessTable(
      () => Promise.resolve(null),
      () => atMs,
    );
    expect(await untold.wasStartedAt(7, atMs - 3_600_000)).toBe(false);
    expect(await untold.wasStartedAt(7, atMs + 3_600_000)).toBeNull();
  });
});
