import { jsonToMessageBytes, type MethodContract, messageToJson, methodContracts } from "@headroom/contracts";
import { type ServiceName, toClientError } from "@headroom/client";
import type { CommandContext, Run } from "../context.ts";
import { CliError, cliErrorOf } from "../errors/cli-error.ts";
import { exitCodes } from "../exit-codes.ts";
import { parseDuration } from "../plan-file/duration.ts";
import { readAll } from "../plan-file/load-plan.ts";
import { nearest } from "../plan-file/suggest.ts";

export interface CallOptions {
  readonly timeout?: string;
  readonly to?: ServiceName;
}

/** `headroom call SERVICE/METHOD JSON`: any unary or server-streaming method of the contract, JSON in and JSON out. */
export function call(method: string, json: string, options: CallOptions): Run {
  return async (context) => {
    const contract = findMethod(method);
    const request = encodeRequest(contract, json === "-" ? await readAll(context.io.stdin, "stdin") : json);
    const deadlineMs = options.timeout === undefined ? 30_000 : readTimeout(options.timeout);
    const target = options.to ?? targetOf(contract);
    try {
      if (contract.streaming === "unary") await callUnary(context, contract, target, request, deadlineMs);
      else await callStream(context, contract, target, request, options.timeout === undefined ? null : deadlineMs);
    } catch (error) {
      if (error instanceof CliError) throw error;
      throw cliErrorOf(toClientError(error));
    }
    return exitCodes.done;
  };
}

/** `headroom call` without a method: what there is. */
export function listMethods(): Run {
  return (context) => {
    const methods = callable();
    if (context.isJson) {
      const names = methods.map(({ fullName, streaming, requestType, responseType }) => ({
        method: fullName,
        streaming,
        request: requestType,
        response: responseType,
      }));
      context.io.stdout.write(`${JSON.stringify(names, null, 2)}\n`);
    } else {
      context.printTable(
        ["METHOD", "KIND", "ACCESS"],
        methods.map(({ fullName, streaming, access }) => [fullName, streaming, access]),
      );
    }
    return Promise.resolve(exitCodes.done);
  };
}

function callable(): MethodContract[] {
  return [...methodContracts().values()].filter(({ streaming }) => streaming !== "duplex");
}

/** A method by its full name, or by as much of its end as tells it from the others. Exported for tests. */
export function findMethod(given: string): MethodContract {
  const name = given
    .replace(/^\//, "")
    .replace(/\.([A-Za-z]+)$/, (whole, method: string) => (given.includes("/") ? whole : `/${method}`));
  const all = callable();
  const exact = all.find(({ fullName }) => fullName === name);
  if (exact !== undefined) return exact;
  const matching = all.filter(({ fullName }) => fullName.endsWith(`.${name}`) || fullName.endsWith(`/${name}`));
  const [first, ...others] = matching;
  if (first !== undefined && others.length === 0) return first;
  if (first !== undefined) {
    throw new CliError({
      message: `several methods are called ${given}`,
      reason: "AMBIGUOUS_METHOD",
      details: matching.map(({ fullName }) => fullName),
    });
  }
  const short = name.split("/").at(-1) ?? name;
  const meant = nearest(
    short,
    all.map((method) => method.name),
  );
  throw new CliError({
    message: `there is no unary or server-streaming method ${JSON.stringify(given)}`,
    reason: "METHOD_NOT_FOUND",
    wayOut: `${meant === null ? "" : `did you mean ${all.find((method) => method.name === meant)?.fullName ?? meant}? `}headroom call lists them all`,
  });
}

function encodeRequest(contract: MethodContract, text: string): Uint8Array {
  let json: unknown;
  try {
    json = JSON.parse(text.trim() === "" ? "{}" : text);
  } catch (error) {
    throw new CliError({
      message: `the request is not JSON: ${error instanceof Error ? error.message : String(error)}`,
      reason: "INVALID_JSON",
      wayOut: `write ${contract.requestType.split(".").at(-1)} with the field names of the .proto: '{"plan_id": "…"}'; "-" reads it from stdin`,
      cause: error,
    });
  }
  const encoded = jsonToMessageBytes(contract.requestType, json);
  if (encoded.kind === "ok") return encoded.value;
  throw new CliError({
    message: `the request is not a ${contract.requestType}`,
    reason: "INVALID_REQUEST",
    details: encoded.violations.map(({ field, description }) =>
      field === "" ? description : `${field}: ${description}`,
    ),
  });
}

function readTimeout(text: string): number {
  const ms = parseDuration(text);
  if (ms !== null && ms > 0) return ms;
  throw new CliError({ message: `--timeout ${text} is no duration: write 30s or 5m`, reason: "INVALID_OPTION" });
}

function targetOf(contract: MethodContract): ServiceName {
  return contract.service.startsWith("headroom.orchestrator.") ? "orchestrator" : "registry";
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
const asIs = (bytes: Buffer): Uint8Array => bytes;
const coding = {
  requestSerialize: asBuffer,
  requestDeserialize: asIs,
  responseSerialize: asBuffer,
  responseDeserialize: asIs,
};

async function callUnary(
  context: CommandContext,
  contract: MethodContract,
  target: ServiceName,
  request: Uint8Array,
  deadlineMs: number,
): Promise<void> {
  const path = `/${contract.fullName}`;
  const definition = { call: { path, requestStream: false as const, responseStream: false as const, ...coding } };
  const client = await context.client().channels.client(target, definition);
  const answer = await client.call(request, { deadlineMs });
  context.io.stdout.write(`${JSON.stringify(messageToJson(contract.responseType, answer), null, 2)}\n`);
}

async function callStream(
  context: CommandContext,
  contract: MethodContract,
  target: ServiceName,
  request: Uint8Array,
  deadlineMs: number | null,
): Promise<void> {
  const path = `/${contract.fullName}`;
  const definition = { call: { path, requestStream: false as const, responseStream: true as const, ...coding } };
  const client = await context.client().channels.client(target, definition);
  const signal = context.io.interrupted();
  try {
    const messages = client.call(request, { signal, ...(deadlineMs !== null && { deadlineMs }) });
    // One object a line, as REST streams do.
    for await (const message of messages) {
      context.io.stdout.write(`${JSON.stringify(messageToJson(contract.responseType, message))}\n`);
      await context.io.stdout.room(signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
