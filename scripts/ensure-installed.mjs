// Installs what package-lock.json names when it is not there yet: a fresh clone has nothing but Node and npm.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { takeInstallLock } from "./install-lock.mjs";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const OLDEST_NODE = [20, 19];

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  const [wantMajor, wantMinor] = OLDEST_NODE;
  if (major > wantMajor || (major === wantMajor && minor >= wantMinor)) return;
  console.error(
    `headroom needs Node ${OLDEST_NODE.join(".")} or newer; this is ${process.versions.node}. Get one from https://nodejs.org.`,
  );
  process.exit(1);
}

function isInstalled() {
  const marker = join(root, "node_modules/.package-lock.json");
  return existsSync(marker) && statSync(marker).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs - 1;
}

/** Exits with npm's code when the installation fails. Of several that start at once on a fresh clone one installs, and the others wait. */
export function ensureInstalled() {
  checkNode();
  if (isInstalled()) return;
  const code = installOnce();
  if (code === 0) return;
  console.error(
    "headroom: npm ci failed; its words stand above. Is the npm registry reachable? Then run the command again.",
  );
  process.exit(code);
}

function installOnce() {
  const release = takeInstallLock(join(root, ".installing"), (pid) =>
    console.error(`headroom: waiting for process ${pid}, which installs packages`),
  );
  try {
    return isInstalled() ? 0 : install();
  } finally {
    release();
  }
}

function install() {
  console.error("headroom: installing packages (npm ci), once …");
  const npm = process.env.npm_execpath;
  const [command, args] = npm ? [process.execPath, [npm]] : ["npm", []];
  const result = spawnSync(command, [...args, "ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    // stdout belongs to the program that is about to start.
    stdio: ["ignore", 2, 2],
    shell: !npm && process.platform === "win32",
  });
  return result.status ?? 1;
}
