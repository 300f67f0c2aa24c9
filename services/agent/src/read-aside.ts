import { Worker } from "node:worker_threads";
import { keepingThread } from "@headroom/runtime";

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

/** Throws at once where the system refuses the thread, and tells by "error" what its start lacks after that. */
function makeWorker(): Worker {
  const worker = new Worker(program, { eval: true, execArgv: [], env: {} });
  isMade = true;
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
  if (isMade) return;
  try {
    idle.push(makeWorker());
  } catch {
    // Nothing needs it yet: whoever does tries again, and is told.
  }
}

/** The machine lacks what a thread takes. */
function noThread(cause: unknown): Error {
  return Object.assign(new Error("no thread to read with", { cause }), { code: "EAGAIN" });
}

function takeWorker(): Worker {
  try {
    return idle.pop() ?? makeWorker();
  } catch (error) {
    throw noThread(error);
  }
}

/**
 * What a file of the kernel's says, each byte as a character. It is read on a thread that is made for such: one that hangs keeps none of
 * the four by which all other files of this process are read and written, and `endProcess` waits a second for it at most. How many may hang
 * is the caller's to bound. Rejects as `readFile`, and with EAGAIN where no thread is to be had.
 */
export function readAside(path: string): Promise<string> {
  return keepingThread(read(path));
}

function read(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const worker = takeWorker();
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
      reject(noThread(error));
    };
    worker.on("message", answered).on("error", failed);
    worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's, not a window's
    worker.postMessage(path);
  });
}
