/** Every RPC of both services, found in the descriptors, with messages that are nearly right and with some that are nothing. */
import { type DescMessage } from "@bufbuild/protobuf";
import { descriptorRegistry, methodContracts, type MethodContract } from "@headroom/contracts";
import fc from "fast-check";
import { framed, H2Client, type RawAnswer } from "../calls/h2-client.ts";
import { codeOf, wrongAnswer } from "../calls/judge.ts";
import { messageBytes } from "../messages/arbitrary.ts";
import { corpus } from "../messages/corpus.ts";
import { mutate, mutations } from "../messages/mutate.ts";
import type { PhaseRun } from "../support/tally.ts";
import type { World } from "../support/world.ts";

/** The methods that each service really serves, each with its address; those of other services are UNIMPLEMENTED there. */
export function servedMethods(
  world: World,
): readonly { readonly contract: MethodContract; readonly address: string }[] {
  const { registry, orchestrator } = world.cluster;
  return [...methodContracts().values()].flatMap((contract) => {
    if (contract.service.startsWith("headroom.registry.")) return [{ contract, address: registry.grpcAddress }];
    if (contract.service.startsWith("headroom.orchestrator.")) return [{ contract, address: orchestrator.grpcAddress }];
    // Health and its like are served by both.
    return [registry, orchestrator].map(({ grpcAddress }) => ({ contract, address: grpcAddress }));
  });
}

export async function messages(run: PhaseRun): Promise<void> {
  const methods = servedMethods(run.world);
  const clients = new Map([...new Set(methods.map(({ address }) => address))].map((a) => [a, new H2Client(a)]));
  // All at once: what one message does to another's call is part of it.
  await Promise.all(methods.map(({ contract, address }) => fuzzMethod(run, contract, clients.get(address)!)));
  for (const client of clients.values()) {
    run.tally.connections += client.connections;
    client.close();
  }
}

async function fuzzMethod(run: PhaseRun, contract: MethodContract, client: H2Client): Promise<void> {
  const { world, tally, seed, effort } = run;
  const one = contract.streaming === "duplex" ? streamOf(contract, world) : requestOf(contract, world);
  const outcome = await fc.check(
    fc.asyncProperty(one, async (body) => {
      tally.case(contract.streaming === "duplex" ? "stream messages" : "messages");
      const answer = await ask(client, contract, body, world.token);
      tally.answer(codeOf(answer));
      const wrong = wrongAnswer(answer);
      if (wrong !== null) throw new Error(wrong);
    }),
    { seed, numRuns: Math.ceil(effort * (contract.streaming === "unary" ? 150 : 60)), ...fcLimits },
  );
  if (!outcome.failed) return;
  const [body] = outcome.counterexample ?? [Buffer.alloc(0)];
  const why = outcome.errorInstance instanceof Error ? outcome.errorInstance.message : String(outcome.errorInstance);
  tally.find(
    "messages",
    `${contract.fullName}: ${why}`,
    `seed ${outcome.seed}, path ${outcome.counterexamplePath}, body ${short(body)}`,
  );
}

/** Shrinking takes as many calls again; it ends with the smallest case that it has found by then. */
const fcLimits = { interruptAfterTimeLimit: 120_000, markInterruptAsFailure: false } as const;

export const short = (bytes: Buffer): string =>
  bytes.length <= 400 ? bytes.toString("hex") : `${bytes.subarray(0, 400).toString("hex")}… (${bytes.length} bytes)`;

function ask(client: H2Client, contract: MethodContract, body: Buffer, token: string): Promise<RawAnswer> {
  return client.call({
    path: `/${contract.fullName}`,
    body,
    headers: { authorization: `Bearer ${token}` },
    // What streams has no end of its own.
    listenMs: contract.streaming === "unary" ? 60_000 : 250,
  });
}

function typeOf(contract: MethodContract): DescMessage {
  const type = descriptorRegistry().getMessage(contract.requestType);
  if (type === undefined) throw new TypeError(`the descriptor set has no ${contract.requestType}`);
  return type;
}

/** A message that is made, one that was right before it was changed, or bytes. */
function oneMessage(contract: MethodContract, world: World): fc.Arbitrary<Buffer> {
  const made = messageBytes(typeOf(contract), world.known);
  const right = corpus(world.victim).get(contract.requestType) ?? [];
  const changed = right.length > 0 ? fc.tuple(fc.constantFrom(...right), mutations()) : fc.tuple(made, mutations());
  return fc.oneof(
    { weight: 5, arbitrary: made },
    { weight: 5, arbitrary: changed.map(([bytes, changes]) => mutate(bytes, changes)) },
    { weight: 1, arbitrary: fc.constantFrom(...right, Buffer.alloc(0)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  );
}

const requestOf = (contract: MethodContract, world: World): fc.Arbitrary<Buffer> =>
  oneMessage(contract, world).map((message) => framed(message));

/** Several messages one after the other, in an order that is right or not: half of them begin as they should. */
function streamOf(contract: MethodContract, world: World): fc.Arbitrary<Buffer> {
  const [hello = Buffer.alloc(0)] = corpus(world.victim).get(contract.requestType) ?? [];
  return fc
    .tuple(fc.boolean(), fc.array(oneMessage(contract, world), { minLength: 1, maxLength: 6 }))
    .map(([begins, rest]) => Buffer.concat([...(begins ? [hello] : []), ...rest].map((message) => framed(message))));
}
