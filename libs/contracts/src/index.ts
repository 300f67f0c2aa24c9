/** All generated types, codecs and service definitions. */
export * as wire from "./gen/index.ts";
export { DESCRIPTOR_SET_BASE64 } from "./gen/descriptor-set.ts";
