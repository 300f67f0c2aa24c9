export { HeadroomError, failedPrecondition, invalidArgument, notFound, unavailable, unimplemented, type FieldViolation, type HeadroomErrorOptions, type RpcCode } from "./errors.ts";
export type { CallContext, Caller, DuplexHandler, DuplexStream, Role, ServerStreamHandler, UnaryHandler } from "./call.ts";
export type { CallOptions, Implementation, MethodDefinition, RequestOf, ResponseOf, RpcClient, ServiceDefinition } from "./definition.ts";
