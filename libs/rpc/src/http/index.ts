export { createHttpServer } from "./http-server.ts";
export type { HttpServer, HttpServerOptions, Readiness } from "./http-server-options.ts";
