/** The side of a child process: it answers named commands of its parent, one answer each, over IPC. */

export type CommandTable = Readonly<Record<string, (argument: never) => unknown>>;

interface CommandMessage {
  readonly id: number;
  readonly command: string;
  readonly argument: unknown;
}

/** Serves until the parent goes away, which ends the process: no bench leaves a process behind. */
export function serveCommands(commands: CommandTable): void {
  if (process.send === undefined) throw new Error("this program is a part of a bench: run `npm run bench -- NAME`");
  const answer = (message: object): void => void (process.connected && process.send?.(message));
  process.on("disconnect", () => process.exit(0));
  // Ctrl-C reaches the whole process group; the parent ends its children itself, in order.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => undefined);
  process.on("message", ({ id, command, argument }: CommandMessage) => {
    const run = commands[command];
    Promise.resolve()
      .then(() => {
        if (run === undefined) throw new Error(`no command ${command}`);
        // Both sides of a command are written together; the parent's type of it is what the child takes.
        return run(argument as never);
      })
      .then(
        (result) => answer({ id, result }),
        (error: unknown) =>
          answer({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
      );
  });
  answer({ ready: true });
}
