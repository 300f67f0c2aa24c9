// Runs a bundled program in the foreground. Answers its exit code; signals are passed on.
import { spawn } from "node:child_process";
import { root } from "./ensure-installed.mjs";

const endings = { SIGINT: 130, SIGTERM: 143 };

export function runBundled(file, args, options = {}) {
  return new Promise((resolve, reject) => {
    const program = spawn(process.execPath, ["--enable-source-maps", file, ...args], {
      cwd: root,
      stdio: "inherit",
      ...options,
    });
    const passOn = (signal) => program.kill(signal);
    for (const signal of Object.keys(endings)) process.on(signal, passOn);
    program.once("error", reject);
    program.once("exit", (code, signal) => {
      for (const name of Object.keys(endings)) process.off(name, passOn);
      resolve(code ?? endings[signal] ?? 1);
    });
  });
}
