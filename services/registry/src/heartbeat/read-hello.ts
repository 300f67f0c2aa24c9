/** A Hello as the domain sees it. */
import { agentTypeWire, sampleFromWire, wire } from "@headroom/contracts";
import { type HeadroomError, invalidArgument } from "@headroom/rpc";
import type { Sample } from "@headroom/scheduling";
import type { AgentIdentity } from "../store/stored-agent.ts";

export interface ReadHello {
  readonly identity: AgentIdentity;
  readonly incarnation: string;
  /** Counts the streams of the agent upwards, over its starts; 0: it does not count. */
  readonly session: number;
  readonly sample: Sample | null;
  readonly attached: boolean;
  readonly ownerHold: boolean;
}

const DEFAULT_POOL = "default";
/** The end of the year 9999, beyond which RFC 3339 cannot write a time. */
const LATEST_MS = 253_402_300_799_999;

/** Throws HeadroomError INVALID_ARGUMENT that names the field. */
export function readHello(hello: wire.Hello): ReadHello {
  const agentType = agentTypeWire.fromWire(hello.agentType, "hello.agent_type");
  if (agentType.kind === "invalid") throw invalidField(agentType);
  return {
    identity: {
      agentId: hello.agentId.toLowerCase(),
      hostname: hello.hostname,
      agentType: agentType.value,
      poolName: hello.poolName === "" ? DEFAULT_POOL : hello.poolName,
      labels: { ...hello.labels },
      version: hello.version,
      platform: hello.platform,
    },
    incarnation: hello.incarnation.toLowerCase(),
    session: hello.session,
    sample: readSample(hello.sample, "hello.sample"),
    attached: hello.attached,
    ownerHold: hello.ownerHold,
  };
}

/**
 * Throws HeadroomError INVALID_ARGUMENT that names the field. Absent: null. `previous` is the agent's sample before: what
 * never changes is shared with it, for otherwise each sample would keep texts of its own, and the garbage collector would
 * spend more on a fleet of 10,000 than its beats do.
 */
export function readSample(
  sample: wire.Sample | undefined,
  path: string,
  previous: Sample | null = null,
): Sample | null {
  if (sample === undefined) return null;
  const read = sampleFromWire(sample, path);
  if (read.kind === "invalid") throw invalidField(read);
  const { sampledAtMs } = read.value;
  if (sampledAtMs < 0 || sampledAtMs > LATEST_MS) {
    throw invalidField({
      field: `${path}.sampled_at`,
      description: "must be between the years 1970 and 9999; is the agent's clock set?",
    });
  }
  return previous === null ? read.value : sharing(read.value, previous);
}

function sharing(sample: Sample, previous: Sample): Sample {
  const cards = sample.cards.map((card, at) => {
    const known = previous.cards[at];
    return known !== undefined && known.cardId === card.cardId && known.model === card.model
      ? { ...card, cardId: known.cardId, model: known.model }
      : card;
  });
  return { ...sample, cards };
}

function invalidField({ field, description }: { readonly field: string; readonly description: string }): HeadroomError {
  return invalidArgument([{ field, description }]);
}
