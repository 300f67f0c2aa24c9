/** A Hello as the domain sees it. */
import { agentTypeWire, sampleFromWire, wire } from "@headroom/contracts";
import { type HeadroomError, invalidArgument } from "@headroom/rpc";
import type { Sample } from "@headroom/scheduling";
import type { AgentIdentity } from "../store/stored-agent.ts";

export interface ReadHello {
  readonly identity: AgentIdentity;
  readonly incarnation: string;
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
    sample: readSample(hello.sample, "hello.sample"),
    attached: hello.attached,
    ownerHold: hello.ownerHold,
  };
}

/** Throws HeadroomError INVALID_ARGUMENT that names the field. Absent: null. */
export function readSample(sample: wire.Sample | undefined, path: string): Sample | null {
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
  return read.value;
}

function invalidField({ field, description }: { readonly field: string; readonly description: string }): HeadroomError {
  return invalidArgument([{ field, description }]);
}
