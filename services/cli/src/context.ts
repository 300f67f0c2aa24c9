import { type ClientError, createHeadroomClient, type HeadroomClient, type Result } from "@headroom/client";
import type { FieldViolation } from "@headroom/rpc";
import { cliErrorOf } from "./errors/cli-error.ts";
import type { ExitCode } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";
import { type Paint, paintFor } from "./output/colour.ts";
import { printable } from "./output/printable.ts";
import { type Cell, renderFacts, renderTable, tableOptions } from "./output/table.ts";
import { jsonOf } from "./output/words.ts";
import { clientTlsOf, type TlsOptions } from "./tls-settings.ts";
import { version } from "./version.ts";

/** The options that every command knows. */
export interface GlobalOptions extends TlsOptions {
  readonly output: "table" | "json";
  readonly registry?: string;
  readonly orchestrator?: string;
  readonly tokenFile?: string;
  readonly dataDir?: string;
}

/** What a command works with. */
export interface CommandContext {
  readonly io: CliIo;
  readonly options: GlobalOptions;
  readonly isJson: boolean;
  readonly paint: Paint;
  /** Made at the first use; closed when the command has ended. */
  client(): HeadroomClient;
  /** A message of a service, as REST prints it. */
  printJson(service: "registry" | "orchestrator", message: string, value: object): void;
  printTable(titles: readonly string[], rows: readonly (readonly Cell[])[]): void;
  printFacts(facts: readonly (readonly [string, Cell])[]): void;
  /** A line for the person, on stderr. */
  readonly say: (line: string) => void;
  close(): void;
}

/** A command: does its work and answers the exit code. Throws CliError. */
export type Run = (context: CommandContext) => Promise<ExitCode>;

export function createContext(io: CliIo, options: GlobalOptions): CommandContext {
  let client: HeadroomClient | undefined;
  const paint = paintFor(io.stdout, io.env);
  return {
    io,
    options,
    isJson: options.output === "json",
    paint,
    client() {
      client ??= createHeadroomClient(
        { ...connectionOf(options, io), userAgent: `headroom-cli/${version}` },
        { ports: io.ports, env: io.env },
      );
      return client;
    },
    printJson: (service, message, value) =>
      io.stdout.write(`${JSON.stringify(jsonOf(service, message, value), null, 2)}\n`),
    printTable: (titles, rows) => io.stdout.write(renderTable(titles, rows, tableOptions(io.stdout, paint))),
    printFacts: (facts) => io.stdout.write(renderFacts(facts, paint)),
    say: (line) => io.stderr.write(`${printable(line)}\n`),
    close: () => client?.close(),
  };
}

function connectionOf(options: GlobalOptions, { env }: CliIo) {
  const tls = clientTlsOf(env, options);
  return {
    ...(tls !== null && { tls }),
    ...(options.registry !== undefined && { registry: options.registry }),
    ...(options.orchestrator !== undefined && { orchestrator: options.orchestrator }),
    ...(options.tokenFile !== undefined && { tokenFile: options.tokenFile }),
    ...(options.dataDir !== undefined && { dataDir: options.dataDir }),
  };
}

/** The value of a call, or its error as the command's. */
export function need<T>(result: Result<T>, describeField?: (violation: FieldViolation) => string): T {
  if (result.kind === "ok") return result.value;
  throw cliErrorOf(result.error satisfies ClientError, describeField);
}
