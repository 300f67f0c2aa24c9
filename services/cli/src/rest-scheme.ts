import { serverSettings } from "@headroom/rpc";
import { loadConfig } from "@headroom/runtime";
import type { PartConfigInput } from "./parts.ts";

export type RestScheme = "http" | "https";

/** How REST of a service with these settings is called: its certificate turns TLS on. */
export function restScheme(input: PartConfigInput): RestScheme {
  const loaded = loadConfig({ tlsCertFile: serverSettings.tlsCertFile }, input);
  return loaded.kind === "ok" && loaded.values.tlsCertFile !== null ? "https" : "http";
}
