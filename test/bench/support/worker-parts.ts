/** What a bench replaces of an agent: the machine that it measures and the processes that it starts. Its journal and streams are the real ones. */
import type { Connections, ListedAttempt, ProcessRunner, Run, RunEnd, Sampler } from "@headroom/agent";
import { timestampFromMs, wire } from "@headroom/contracts";

const OVER: Omit<RunEnd, "endedAtMs"> = { exitCode: 0, signal: "", cpuMs: 0, leftBehind: 0 };

/** Runs nothing: each run is over after `holdMs`, 0 for at once. */
export function noopRunner(holdMs: () => number): ProcessRunner {
  return {
    start() {
      const startedAtMs = Date.now();
      let end: () => void = () => undefined;
      const ended = new Promise<RunEnd>((resolve) => {
        end = () => resolve({ ...OVER, endedAtMs: Date.now() });
      });
      const waitMs = holdMs();
      if (waitMs === 0) end();
      else setTimeout(end, waitMs);
      const run: Run = {
        pid: process.pid,
        startToken: null,
        startedAtMs,
        exited: ended,
        ended,
        hasExited: () => false,
        end: () => end(),
        freeze: () => undefined,
        thaw: () => undefined,
      };
      return Promise.resolve({ kind: "started", run });
    },
    endLeftover: () => Promise.resolve(0),
  };
}

/** A machine of so many cores with nothing else on it. */
export function emptyMachine(cores: number): Sampler {
  const dimension = (total: number): wire.Dimension =>
    wire.Dimension.fromPartial({ total, available: total, declared: true });
  return {
    start: () => Promise.resolve(),
    sample: (attempts) =>
      Promise.resolve({
        sampledAt: timestampFromMs(Date.now()),
        cpuLoad: 0,
        cpuMillicores: dimension(cores * 1_000),
        memoryMib: dimension(cores * 4_096),
        cards: [],
        attempts: attempts.map(useOf),
      }),
    watchPeaks: () => Promise.resolve(),
    takeTotal: () => ({ cpuMs: 0, memoryPeakMib: 0, vramPeakMib: 0 }),
  };
}

function useOf({ attemptId, fence }: ListedAttempt): wire.AttemptUse {
  return wire.AttemptUse.fromPartial({ attemptId, fence, cpuMillicores: 0, memoryMib: 0, cards: [] });
}

/** Tells of what passes over the work streams of real connections. */
export function observedConnections(
  connections: Connections,
  seen: { resultSent(): void; assignmentCame(): void },
): Connections {
  return {
    openHeartbeat: () => connections.openHeartbeat(),
    enroll: (request, signal) => connections.enroll(request, signal),
    close: () => connections.close(),
    async openAttach() {
      const open = await connections.openAttach();
      return () => {
        const stream = open();
        return {
          onPeerEnd: (handler) => stream.onPeerEnd(handler),
          onClose: (handler) => stream.onClose(handler),
          onDrain: (handler) => stream.onDrain(handler),
          end: () => stream.end(),
          fail: (error) => stream.fail(error),
          send(message) {
            if (reportsOf(message).some((report) => report?.$case === "finished")) seen.resultSent();
            return stream.send(message);
          },
          onMessage: (handler) =>
            stream.onMessage((message) => {
              for (const item of itemsOf(message)) if (item?.$case === "assignment") seen.assignmentCame();
              return handler(message);
            }),
        };
      };
    },
  };
}

/** What it says, alone or among others. */
function reportsOf({
  message,
}: wire.AttachRequest): readonly (wire.AttachRequest["message"] | wire.AttemptReport["report"])[] {
  return message?.$case === "reports" ? message.value.reports.map(({ report }) => report) : [message];
}

function itemsOf({
  message,
}: wire.AttachResponse): readonly (wire.AttachResponse["message"] | wire.WorkItem["item"])[] {
  return message?.$case === "items" ? message.value.items.map(({ item }) => item) : [message];
}
