import { Worker } from "node:worker_threads";

/** Threads that are kept for the next reading. */
const keptIdle = 2;

/** Reads files one after another, in the calls that wait. Plain text, so that it needs no file of its own beside the bundle. */
const program = `
const { readFileSync } = require("node:fs");
const { parentPort } = require("node:worker_threads");
parentPort.on("message", (path) => {
  try {
    parentPort.postMessage({ text: readFileSync(path, "latin1") });
  } catch (error) {
    parentPort.postMessage({ message: error.message, code: error.code });
  }
});`;

type Answer = { readonly text: string } | { readonly message: string; readonly code: unknown };

const idle: Worker[] = [];
let isMade = false;

function makeWorker(): Worker {
  isMade = true;
  const worker = new Worker(program, { eval: true, execArgv: [], env: {} });
  worker.on("error", () => {
    const place = idle.indexOf(worker);
    if (place !== -1) idle.splice(place, 1);
  });
  // It keeps nobody's program from its end.
  worker.unref();
  return worker;
}

/** Makes the first thread ahead of need: it takes four files, which the machine may not have when there is something to be read. */
export function prepareReadAside(): void {
  if (!isMade) idle.push(makeWorker());
}

/**
 * What a file of the kernel's says, each byte as a character. It is read on a thread that is made for such: one that hangs keeps none of
 * the four by which all other files of this process are read and written. How many may hang is the caller's to bound. Rejects as `readFile`.
 */
export function readAside(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const worker = idle.pop() ?? makeWorker();
    const end = (): void => {
      worker.off("message", answered).off("error", failed);
      worker.unref();
    };
    const answered = (answer: Answer): void => {
      end();
      if (idle.length < keptIdle) idle.push(worker);
      else void worker.terminate();
      if ("text" in answer) resolve(answer.text);
      else reject(Object.assign(new Error(answer.message), { code: answer.code }));
    };
    const failed = (error: unknown): void => {
      end();
      // No thread was to be had: the machine lacks what it takes.
      reject(Object.assign(new Error("no thread to read with", { cause: error }), { code: "EAGAIN" }));
    };
    worker.on("message", answered).on("error", failed);
    worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's, not a window's
    worker.postMessage(path);
  });
}
