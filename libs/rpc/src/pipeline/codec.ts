import type { MethodContract } from "@headroom/contracts";
import { HeadroomError } from "../errors.ts";
import type { ServiceDefinition } from "../definition.ts";
import { compileQuickCheck } from "../validation/quick-check.ts";
import { createMessageCheck, malformedMessage } from "../validation/validator.ts";

/** How the messages of one method become bytes and back. */
export interface MethodCodec {
  /** The request, validated. Throws HeadroomError INVALID_ARGUMENT or RESOURCE_EXHAUSTED. */
  readRequest(bytes: Uint8Array): unknown;
  /** Throws HeadroomError RESOURCE_EXHAUSTED for an answer that is too long. */
  writeResponse(message: unknown): Buffer;
}

/** The part of ts-proto's definition that encodes; BoundService keeps it without its types. */
interface Encoder {
  responseSerialize(message: unknown): Buffer;
}

export function createMethodCodec(
  definition: ServiceDefinition[string],
  contract: MethodContract,
  maxMessageBytes: number,
): MethodCodec {
  const validate = createMessageCheck(contract.requestType);
  // Nearly every message is valid, and this sees it without decoding it a second time.
  const isSurelyValid = compileQuickCheck(contract.requestType) ?? (() => false);
  // Every definition that ts-proto makes has it; bindService has held the handler's type against the definition's.
  const encoder = definition as ServiceDefinition[string] & Encoder;

  function decode(bytes: Uint8Array): unknown {
    try {
      return definition.requestDeserialize(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes));
    } catch (error) {
      // What a field's rule forbids is told in the words of the rule.
      validate(bytes);
      throw malformedMessage(contract.requestType, error);
    }
  }

  return {
    readRequest(bytes) {
      if (bytes.length > maxMessageBytes) throw tooLarge("request", bytes.length, maxMessageBytes);
      const message = decode(bytes);
      if (!isSurelyValid(message)) validate(bytes);
      return message;
    },
    writeResponse(message) {
      const bytes = encoder.responseSerialize(message);
      if (bytes.length > maxMessageBytes) throw tooLarge("answer", bytes.length, maxMessageBytes);
      return bytes;
    },
  };
}

function tooLarge(what: "request" | "answer", sizeBytes: number, limitBytes: number): HeadroomError {
  const wayOut =
    what === "request" ? "send less at once" : "ask for less, with a smaller page_size or a narrower filter";
  return new HeadroomError({
    code: "RESOURCE_EXHAUSTED",
    reason: "MESSAGE_TOO_LARGE",
    message: `the ${what} has ${sizeBytes} bytes, and at most ${limitBytes} are accepted; ${wayOut}`,
    metadata: { limit_bytes: String(limitBytes) },
  });
}
