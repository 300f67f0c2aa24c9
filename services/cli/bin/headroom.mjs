#!/usr/bin/env node
// The command `headroom` in a checkout: builds the bundle when a source is newer, then becomes it.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const builder = new URL("../../../scripts/build.mjs", import.meta.url);
if (existsSync(fileURLToPath(builder))) {
  const { build } = await import(builder.href);
  await build();
}
await import(new URL("../../../dist/headroom.mjs", import.meta.url).href);
