import { ConfigError, defaultDataDir } from "@headroom/runtime";
import { printable } from "../output/printable.ts";
import { CliError } from "./cli-error.ts";
import { dataFolderLine } from "./data-folder.ts";

/** Errors whose message was written for the person at the keyboard, by name; a stack would only hide it. */
const toldInFull: ReadonlySet<string> = new Set([
  "BinariesMissingError",
  "CredentialFileError",
  "DataDirInUseError",
  "DataDirUnusableError",
  "DatabaseAwayError",
  "DatabaseRightsError",
  "EmbeddedPostgresError",
  "HeadroomError",
  "IdentityError",
  "InitFailedError",
  "InsecureBindError",
  "PortInUseError",
  "SchemaTooNewError",
  "TlsFileError",
  "TokenFileError",
]);

/** What stderr says of an error, with a line feed at its end. `dataDir`: the data folder that the command works with. */
export function renderError(error: unknown, dataDir: string = defaultDataDir()): string {
  // A message may quote a file or a service.
  return printable(errorText(error, dataDir));
}

function errorText(error: unknown, dataDir: string): string {
  if (error instanceof CliError) return renderCliError(error);
  if (error instanceof ConfigError) return `headroom: ${error.message}\n`;
  if (error instanceof AggregateError) return error.errors.map((one) => errorText(one, dataDir)).join("");
  if (error instanceof Error && (toldInFull.has(error.name) || error.name.endsWith("InUseError"))) {
    return `headroom: ${error.message}\n`;
  }
  const refused = dataFolderLine(error, dataDir);
  if (refused !== null) return `headroom: ${refused}\n`;
  // A fault of this program: its author needs the stack.
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `headroom: unexpected error; please report it with these lines\n${stack}\n`;
}

function renderCliError(error: CliError): string {
  const reason = error.reason === null ? "" : ` (${error.reason})`;
  const lines = [`headroom: ${error.message}${reason}`, ...error.details.map((detail) => `  - ${detail}`)];
  if (error.wayOut !== null) lines.push(`  ${error.wayOut}`);
  return `${lines.join("\n")}\n`;
}
