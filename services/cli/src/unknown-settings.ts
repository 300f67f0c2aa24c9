/** Variables that look like settings of Headroom and are none: most likely misspelt, and without effect. */
import { connectionSettings } from "@headroom/client";
import type { ConfigSchema } from "@headroom/runtime";
import { parts } from "./parts.ts";
import { nearest } from "./plan-file/suggest.ts";
import { supervisedVariable } from "./supervised.ts";
import { tlsSettings } from "./tls-settings.ts";
import { upOptions } from "./up/settings.ts";

/** Set by Headroom itself, for its own children and for tasks. */
const SET_BY_US: readonly string[] = [
  supervisedVariable,
  "HEADROOM_PLAN_ID",
  "HEADROOM_TASK_ID",
  "HEADROOM_ATTEMPT_ID",
];
/** Those of the project's own tests and benches are no settings. */
const LOOKS_LIKE_SETTING = /^HEADROOM_(?!TEST_|BENCH_)/i;
/** A setting whose name other programs could use too: only what is nearly one of ours is meant for us. */
const MAY_BE_MEANT = /^PAUSE_/i;

/** One line for each, ready to be shown; those of all parts are known to each part, for they often share an environment. */
export function unknownSettings(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const schemas: readonly ConfigSchema[] = [
    connectionSettings,
    tlsSettings,
    upOptions,
    ...Object.values(parts).map(({ schema }) => schema),
  ];
  const known = new Set([
    ...schemas.flatMap((schema) => Object.values(schema).map(({ env: name }) => name)),
    ...SET_BY_US,
  ]);
  return Object.keys(env)
    .filter((name) => env[name] !== undefined && !known.has(name))
    .sort()
    .flatMap((name) => {
      const meant = nearest(name, [...known]);
      if (!LOOKS_LIKE_SETTING.test(name) && (meant === null || !MAY_BE_MEANT.test(name))) return [];
      const hint = meant === null ? "" : `; did you mean ${meant}?`;
      return [`${name} is no setting of Headroom and changes nothing${hint}`];
    });
}
