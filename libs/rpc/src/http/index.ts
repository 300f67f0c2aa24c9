export { createHttpServer } from "./http-server.ts";
export { extraHost } from "./origin-guard.ts";
export type { HttpServer, HttpServerOptions, Readiness } from "./http-server-options.ts";
