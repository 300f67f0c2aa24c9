/** Calls a handler; what it throws, or the promise it returns rejects with, goes to `onError`. A `() => void` may well be async. */
export function callGuarded(call: () => unknown, onError: (error: unknown) => void): void {
  try {
    const result = call();
    if (result instanceof Promise) result.catch(onError);
  } catch (error) {
    onError(error);
  }
}
