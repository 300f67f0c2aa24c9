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

interface RequestChecks {
  readonly validate: ReturnType<typeof createMessageCheck>;
  readonly isSurelyValid: (message: unknown) => boolean;
}

// Rules are the same for every server of a process, and compiling them is most of what making one costs.
const checksByType = new Map<string, RequestChecks>();

function checksOf(typeName: string): RequestChecks {
  const known = checksByType.get(typeName);
  if (known !== undefined) return known;
  const checks: RequestChecks = {
    validate: createMessageCheck(typeName),
    // Nearly every message is valid, and this sees it without decoding it a second time.
    isSurelyValid: compileQuickCheck(typeName) ?? (() => false),
  };
  checksByType.set(typeName, checks);
  return checks;
}

export function createMethodCodec(
  definition: ServiceDefinition[string],
  contract: MethodContract,
  maxMessageBytes: number,
): MethodCodec {
  const { validate, isSurelyValid } = checksOf(contract.requestType);
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
