export {
  HeadroomError,
  failedPrecondition,
  invalidArgument,
  notFound,
  unavailable,
  unimplemented,
  type FieldViolation,
  type HeadroomErrorOptions,
  type RpcCode,
} from "./errors.ts";
export type {
  CallContext,
  Caller,
  DuplexHandler,
  DuplexStream,
  Role,
  ServerStreamHandler,
  UnaryHandler,
} from "./call.ts";
export type {
  CallOptions,
  Implementation,
  MethodDefinition,
  RequestOf,
  ResponseOf,
  RpcClient,
  ServiceDefinition,
} from "./definition.ts";

export { createRpcServer } from "./server/rpc-server.ts";
export type { RpcServer, RpcServerOptions, StoppingListener } from "./server/rpc-server-options.ts";
export { bindService, type BoundService } from "./server/bind-service.ts";
export type { AccessLevel, CallMeta, Idempotency, Method, MethodKind, MethodTable } from "./server/method-table.ts";
export type { Health } from "./server/health-state.ts";
export { PortInUseError } from "./server/port-in-use.ts";
export type { MapError } from "./pipeline/map-error.ts";
export { clip } from "./status/clip.ts";
export { chooseRequestId } from "./pipeline/request-id.ts";

export type { AccessRequest, AuthPolicy } from "./auth/auth-policy.ts";
export {
  serverPaths,
  serverSecurity,
  serverSettings,
  type ServerSecurity,
  type ServerSettings,
  withTokenOfFlag,
} from "./auth/server-settings.ts";
export {
  createAgentCredentials,
  requireOwnId,
  type AgentCredential,
  type AgentCredentials,
} from "./auth/agent-credential.ts";
export { createSealed, type Sealed } from "./auth/sealed.ts";
export { createTokenAuth, type TokenAuthOptions } from "./auth/token-auth.ts";
export { tokenProblem } from "./auth/token-form.ts";
export { ensureTokenFile, readTokenFile, TokenFileError, tokenFileBesideToken } from "./auth/token-file.ts";
export { checkBindAddress, InsecureBindError, isLoopbackHost, type BindAddress } from "./auth/bind-address.ts";
export { TlsFileError, type ClientTls, type ServerTls } from "./auth/tls.ts";

export { LeftAddress } from "./client/any-address.ts";
export { createChannel, type Channel } from "./client/channel.ts";
export type { ChannelOptions } from "./client/channel-options.ts";
export { createClient } from "./client/client.ts";
export { isTlsFailure } from "./client/tls-failure.ts";

export { createHttpServer, extraHost } from "./http/index.ts";
export type { HttpServer, HttpServerOptions, Readiness } from "./http/index.ts";

export { socketNetwork, type Network } from "./network.ts";

// For those that bring a transport of their own.
export { createServerOn } from "./server/rpc-server.ts";
export type { OpenTransport, ServedCalls, ServerTransport } from "./server/server-transport.ts";
export type { DuplexCarrier, DuplexReceiver } from "./pipeline/invoke-duplex.ts";
export { DuplexCore } from "./duplex/duplex-core.ts";
export type { AnyMethod } from "./client/outgoing-call.ts";
