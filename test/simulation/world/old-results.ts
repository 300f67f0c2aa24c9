import { wire } from "@headroom/contracts";
import type { SeededRandom } from "@headroom/testing";
import type { StreamTap } from "../network/links.ts";

const attachMethod = "headroom.orchestrator.v1.WorkService/Attach";

/**
 * Results that come from the past, as a second program on an old journal would send them: before an agent's own result the same attempt is
 * said to have ended otherwise, under a fence that it had before. The orchestrator's word on it reaches the one that is not there.
 */
export function oldResults(random: SeededRandom, chance: number): StreamTap {
  const awaited = new Set<string>();
  let isOver = false;
  return {
    end: () => void (isOver = true),
    toServer(name, bytes) {
      if (name !== attachMethod || isOver) return [bytes];
      const { message } = wire.AttachRequest.decode(bytes);
      const results =
        message?.$case === "finished"
          ? [message.value]
          : message?.$case === "reports"
            ? message.value.reports.flatMap(({ report }) => (report?.$case === "finished" ? [report.value] : []))
            : [];
      const old = results.filter(({ attemptId, fence }) => {
        if (fence < 2 || awaited.has(attemptId) || random.next() >= chance) return false;
        awaited.add(attemptId);
        return true;
      });
      return [...old.map((result) => oldResult(result)), bytes];
    },
    toCaller(name, bytes) {
      if (name !== attachMethod || awaited.size === 0) return bytes;
      const { message } = wire.AttachResponse.decode(bytes);
      if (message?.$case === "finishedAck") return awaited.delete(message.value.attemptId) ? null : bytes;
      if (message?.$case !== "items") return bytes;
      const items = message.value.items.filter(
        ({ item }) => item?.$case !== "finishedAck" || !awaited.delete(item.value.attemptId),
      );
      if (items.length === message.value.items.length) return bytes;
      if (items.length === 0) return null;
      return Buffer.from(wire.AttachResponse.encode({ message: { $case: "items", value: { items } } }).finish());
    },
  };
}

function oldResult(result: wire.AttemptFinished): Buffer {
  const value = { ...result, fence: result.fence - 1, exitCode: result.exitCode === 0 ? 1 : 0 };
  return Buffer.from(wire.AttachRequest.encode({ message: { $case: "finished", value } }).finish());
}
