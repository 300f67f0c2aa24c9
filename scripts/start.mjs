// `npm start`: installs and builds what is missing, then runs `headroom up` in this very process, so that Ctrl-C reaches it directly.
import { pathToFileURL } from "node:url";
import { ensureInstalled } from "./ensure-installed.mjs";

ensureInstalled();
const { build } = await import("./build.mjs");
const bundle = await build();
process.argv = [process.argv[0], bundle, "up", ...process.argv.slice(2)];
await import(pathToFileURL(bundle).href);
