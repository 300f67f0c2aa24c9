// Completes package-lock.json with the optional platform packages that npm left out because the registry it asked did not have them
// (npm/cli#4828 and mirrors that hold some platforms only). Without them `npm ci` refuses the lock file on every machine; with them it
// skips what is for another system. Run it after an `npm install` that touched the lock: `npm run lock:complete`.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./ensure-installed.mjs";

const path = join(root, "package-lock.json");
const lock = JSON.parse(readFileSync(path, "utf8"));

const SYSTEMS = ["darwin", "linux", "win32", "freebsd", "openbsd", "netbsd", "sunos", "aix", "android", "openharmony"];
const CPUS = { x64: "x64", arm64: "arm64", aarch64: "arm64", arm: "arm", armv7: "arm", ia32: "ia32", ppc64: "ppc64", riscv64: "riscv64", s390x: "s390x", loong64: "loong64", mips64el: "mips64el", wasm32: "wasm32" }; // prettier-ignore

/** What a platform package says of itself, read from its name: @scope/binding-linux-arm64-musl. */
function platformOf(name) {
  const words = name.split("/").at(-1).split(/[-_.]/);
  const os = words.find((word) => SYSTEMS.includes(word)) ?? (words.includes("windows") ? "win32" : undefined);
  const cpu = CPUS[words.find((word) => Object.hasOwn(CPUS, word))];
  return { ...(os && { os: [os] }), ...(cpu && { cpu: [cpu] }) };
}

/** Whether a package that lies at `from` finds `name`, as Node looks for it. */
function isFound(from, name) {
  for (let dir = from; ; dir = dir.slice(0, dir.lastIndexOf("/node_modules/"))) {
    if (Object.hasOwn(lock.packages, dir === "" ? `node_modules/${name}` : `${dir}/node_modules/${name}`)) return true;
    if (dir === "") return false;
    if (!dir.includes("/node_modules/")) dir = "/node_modules/";
  }
}

const added = [];
for (const [from, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (isFound(from, name)) continue;
    const platform = platformOf(name);
    if (!/^\d+\.\d+\.\d+/.test(version) || (!platform.os && !platform.cpu)) {
      console.error(`${from} wants ${name}@${version}: not an exact platform package, left out`);
      continue;
    }
    lock.packages[`node_modules/${name}`] = {
      version,
      ...(platform.cpu && { cpu: platform.cpu }),
      ...(entry.dev && { dev: true }),
      optional: true,
      ...(platform.os && { os: platform.os }),
    };
    added.push(name);
  }
}
if (added.length > 0) {
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
}
console.log(`package-lock.json: ${added.length} platform packages added`);
