/** What `signals.test.ts` runs in processes of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "@headroom/runtime";
import { runPart } from "./commands/run-part.ts";
import { type Part, parts } from "./parts.ts";
import { flushOutput, processIo } from "./process-io.ts";

const [mode = "", folder = ""] = process.argv.slice(2);
const tell = (file: string, text: string): void => writeFileSync(join(folder, file), text);

/** An agent whose stop writes to the terminal, and to `last-words` what became of that; it waits for a second SIGINT unless there is a file `hasty`. */
const part: Part = {
  ...parts.agent,
  run: ({ onReady, pretty }) =>
    runProgram({
      name: "agent",
      logFile: join(folder, "agent.log"),
      logLevel: "info",
      pretty,
      build: (logger) => ({
        start() {
          onReady({ grpc: null, http: null, agentId: null });
          tell("up", "yes");
          return Promise.resolve();
        },
        async stop(reason) {
          const released = existsSync(join(folder, "hasty")) ? Promise.resolve() : once(process, "SIGINT");
          tell("stopping", String(reason));
          await released;
          const outcomes: string[] = [];
          for (const stream of [process.stdout, process.stderr, process.stdout, process.stderr]) {
            logger.warn("ending what runs");
            outcomes.push(await written(stream));
          }
          tell("last-words", outcomes.join(" "));
        },
      }),
    }),
};

/** The code of the error that a write came to, once whoever listens to the stream has heard of it. */
async function written(stream: NodeJS.WriteStream): Promise<string> {
  const error = await new Promise<Error | null | undefined>((resolve) => void stream.write("still here\n", resolve));
  await new Promise((resolve) => void setImmediate(resolve));
  return error === null || error === undefined ? "ok" : String(Reflect.get(error, "code"));
}

async function runAsPart(): Promise<void> {
  process.on("exit", (code) => tell("ended", String(code)));
  const code = await runPart(part, processIo(), {});
  await flushOutput();
  process.exit(code);
}

/** The terminal of a part: the test kills it. */
async function runTerminal(): Promise<void> {
  const command = `exec '${process.execPath}' '${process.argv[1] ?? ""}' part '${folder}'`;
  const terminal = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["pipe", "ignore", "ignore"] });
  tell("terminal", String(terminal.pid));
  await once(terminal, "exit");
}

/** As `plan watch` and `agents drain` do, but for the end, which waits for a second SIGINT. */
async function runWatch(): Promise<void> {
  const interrupted = processIo().interrupted();
  const stay = setInterval(() => undefined, 60_000);
  tell("up", "yes");
  if (!interrupted.aborted) await once(interrupted, "abort");
  const released = once(process, "SIGINT");
  tell("stopping", String(interrupted.reason));
  await released;
  clearInterval(stay);
  process.exit(2);
}

/** A command that tells something on stderr, whoever reads it, and fails later. */
async function runFailing(): Promise<void> {
  const { stderr } = processIo();
  stderr.write("something\n");
  await written(process.stderr);
  process.exit(3);
}

const modes: Readonly<Record<string, () => Promise<void>>> = {
  failing: runFailing,
  part: runAsPart,
  terminal: runTerminal,
  watch: runWatch,
};
await modes[mode]?.();
