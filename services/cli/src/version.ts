import manifest from "../package.json" with { type: "json" };

/** Of this program and everything in it. */
export const version: string = manifest.version;
