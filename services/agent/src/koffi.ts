/** Part of koffi as it is used here; the package is optional, so that nothing fails where it was not installed. */
export interface Koffi {
  load(path: string): NativeLibrary;
}

export interface NativeLibrary {
  /** Throws where the library has no such function. */
  func(declaration: string): NativeFunction;
}

export interface NativeFunction {
  (...args: readonly (bigint | number | Buffer)[]): number | bigint;
  /** On a thread of koffi's. */
  async(
    ...args: [...args: readonly (bigint | number | Buffer)[], done: (error: unknown, result: number) => void]
  ): void;
}

/** null: it is not installed. */
export async function importKoffi(): Promise<Koffi | null> {
  try {
    const module: { readonly default: Koffi } = await import("koffi");
    return module.default;
  } catch {
    return null;
  }
}
