import { homedir } from "node:os";
import { posix, win32 } from "node:path";

/** Where things lie under the data folder. */
export interface DataPaths {
  readonly dataDir: string;
  /** The embedded PostgreSQL's cluster. */
  readonly postgresDir: string;
  readonly logsDir: string;
  /** The local token that the CLI finds by itself, 0600. */
  readonly tokenFile: string;
  /** The agent's identity and journal. */
  readonly agentDir: string;
  /** Owner locks and what runs where. */
  readonly runDir: string;
}

/**
 * The folder that holds everything: HEADROOM_DATA_DIR if set (made absolute); for root on Linux /var/lib/headroom; else the user's own:
 * $XDG_DATA_HOME/headroom or ~/.local/share/headroom, on macOS ~/Library/Application Support/Headroom, on Windows %LOCALAPPDATA%\Headroom.
 */
export function defaultDataDir(
  env: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
  isRoot: boolean = process.getuid?.() === 0,
): string {
  const path = platform === "win32" ? win32 : posix;
  const given = env["HEADROOM_DATA_DIR"]?.trim();
  if (given !== undefined && given !== "") return path.resolve(given);
  if (platform === "win32")
    return path.join(env["LOCALAPPDATA"] || path.join(env["USERPROFILE"] || homedir(), "AppData", "Local"), "Headroom");
  const home = env["HOME"] || homedir();
  if (platform === "darwin") return path.join(home, "Library", "Application Support", "Headroom");
  if (platform === "linux" && isRoot) return "/var/lib/headroom";
  // The XDG specification says to ignore a relative path.
  const xdg = env["XDG_DATA_HOME"];
  return xdg !== undefined && path.isAbsolute(xdg)
    ? path.join(xdg, "headroom")
    : path.join(home, ".local", "share", "headroom");
}

/** The paths under a data folder. Creates nothing. */
export function dataPaths(dataDir: string, platform: NodeJS.Platform = process.platform): DataPaths {
  const path = platform === "win32" ? win32 : posix;
  return {
    dataDir,
    postgresDir: path.join(dataDir, "postgres"),
    logsDir: path.join(dataDir, "logs"),
    tokenFile: path.join(dataDir, "token"),
    agentDir: path.join(dataDir, "agent"),
    runDir: path.join(dataDir, "run"),
  };
}
