/** The OpenAPI 3.1 document of what is served, from the descriptor set and the comments of the .proto files. */
import type { DescField, DescMessage, DescMethod, FileRegistry } from "@bufbuild/protobuf";
import { described, SchemaCollector, type Schema } from "./openapi-schema.ts";
import { commentOf } from "./proto-comments.ts";
import type { Route } from "./router.ts";

export interface OpenApiInfo {
  /** Of the process: "registry". */
  readonly name: string;
  readonly version: string;
}

export function openApiDocument(
  files: FileRegistry,
  routes: readonly Route[],
  { name, version }: OpenApiInfo,
): Readonly<Record<string, unknown>> {
  const schemas = new SchemaCollector();
  const paths: Record<string, Record<string, unknown>> = {};
  const tags = new Map<string, string>();
  for (const route of routes) {
    const method = methodOf(files, route.method.name);
    tags.set(method.parent.name, commentOf(method.parent));
    const item = (paths[route.template.text] ??= {});
    item[route.verb.toLowerCase()] = operation(route, method, schemas);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: `Headroom ${name}`,
      version,
      description: INTRODUCTION,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    tags: [...tags].map(([tag, description]) => ({ name: tag, description })),
    paths,
    components: {
      schemas: { ...schemas.all(), Error: ERROR_SCHEMA },
      responses: { Error: { description: "An error.", content: { "application/json": { schema: ERROR_REF } } } },
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          description: "The token of this server; it lies in a file on its machine.",
        },
      },
    },
  };
}

const INTRODUCTION = [
  "Memory and VRAM (`*_gb`) are GiB, CPU (`*_cores`) is cores and may be fractional. Times are RFC 3339 in UTC, durations seconds such as `3s`.",
  "In answers, zeros are always printed and what is absent is left out. Requests that are no GET need the",
  "token, and those with a body `content-type: application/json`. Streams are newline-delimited JSON, one message a line.",
].join(" ");

function operation(route: Route, method: DescMethod, schemas: SchemaCollector): Schema {
  const comment = commentOf(method);
  const isOpenRead = route.method.access === "open" && route.verb === "GET";
  const variables = new Set(
    route.template.segments.flatMap((segment) => (segment.kind === "variable" ? [segment.field] : [])),
  );
  const parameters = [
    ...method.input.fields.filter(({ name }) => variables.has(name)).map((field) => pathParameter(field, schemas)),
    ...(route.body === "*" ? [] : queryParameters(method.input, "", variables, schemas)),
  ];
  return {
    operationId: `${method.parent.name}_${method.name}`,
    tags: [method.parent.name],
    summary: firstSentence(comment),
    description: comment,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === "*" ? { requestBody: requestBody(method.input, schemas) } : {}),
    responses: responses(route, method, isOpenRead, variables.size > 0, schemas),
    security: isOpenRead ? [] : [{ token: [] }],
  };
}

function pathParameter(field: DescField, schemas: SchemaCollector): Schema {
  const description = commentOf(field);
  return { name: field.name, in: "path", required: true, description, schema: schemas.valueOf(field) };
}

/** One parameter a field; fields of nested messages with dots. */
function queryParameters(
  type: DescMessage,
  prefix: string,
  except: ReadonlySet<string>,
  schemas: SchemaCollector,
): readonly Schema[] {
  return type.fields.flatMap((field) => {
    if (except.has(field.name)) return [];
    const name = `${prefix}${field.name}`;
    if (field.fieldKind === "message" && !field.message.typeName.startsWith("google.protobuf.")) {
      return queryParameters(field.message, `${name}.`, new Set(), schemas);
    }
    const parameter = { name, in: "query", description: commentOf(field), schema: schemas.valueOf(field) };
    // Written labels[key]=value.
    return [field.fieldKind === "map" ? { ...parameter, style: "deepObject", explode: true } : parameter];
  });
}

function requestBody(type: DescMessage, schemas: SchemaCollector): Schema {
  return { required: true, content: { "application/json": { schema: schemas.refTo(type) } } };
}

function responses(
  route: Route,
  method: DescMethod,
  isOpenRead: boolean,
  namesSomething: boolean,
  schemas: SchemaCollector,
): Schema {
  const isStream = route.method.kind === "server_stream";
  const contentType = isStream ? "application/x-ndjson" : "application/json";
  const ok = described(
    { content: { [contentType]: { schema: schemas.refTo(method.output) } } },
    `${commentOf(method.output) || "Done."}${isStream ? " One such object a line; an error becomes a last line." : ""}`,
  );
  const error = { $ref: "#/components/responses/Error" };
  return {
    200: ok,
    400: error,
    ...(isOpenRead ? {} : { 401: error }),
    403: error,
    ...(namesSomething ? { 404: error } : {}),
    500: error,
    503: error,
    default: error,
  };
}

const ERROR_REF: Schema = { $ref: "#/components/schemas/Error" };

const ERROR_SCHEMA: Schema = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "status", "message", "reason", "field_violations", "request_id"],
      properties: {
        code: { type: "integer", description: "The HTTP status." },
        status: { type: "string", description: "The canonical gRPC code, such as NOT_FOUND." },
        message: { type: "string", description: "What happened and the way out, for a person." },
        reason: {
          type: "string",
          description: "Stable and upper-case, such as AGENT_NOT_FOUND: for programs to switch on.",
        },
        field_violations: {
          type: "array",
          description: "The fields at fault.",
          items: {
            type: "object",
            required: ["field", "description"],
            properties: {
              field: { type: "string", description: "Path in the request, such as plan.tasks[3].name." },
              description: { type: "string", description: "What is wrong and how to write it right." },
            },
          },
        },
        request_id: { type: "string", description: "Stands in the server's log, and in the x-request-id header." },
        retry_after_ms: { type: "number", description: "Where waiting helps: try again after this time." },
        metadata: { type: "object", description: "More facts for programs.", additionalProperties: { type: "string" } },
      },
    },
  },
};

function methodOf(files: FileRegistry, name: string): DescMethod {
  const [service = "", methodName = ""] = name.split("/");
  const method = files.getService(service)?.methods.find((each) => each.name === methodName);
  if (method === undefined) throw new TypeError(`the descriptor set has no method ${name}`);
  return method;
}

function firstSentence(comment: string): string {
  const text = comment.replaceAll("\n", " ");
  const end = /[.](?: |$)/.exec(text);
  return end === null ? text : text.slice(0, end.index);
}
