import { type HeadroomClient, wire } from "@headroom/client";

type StreamWord = "STDOUT" | "STDERR" | "HEADROOM";

/** What a task wrote, by stream. */
export interface TaskOutput {
  text(stream: StreamWord): string;
}

const streamOf: Readonly<Record<StreamWord, wire.OutputStream>> = {
  STDOUT: wire.OutputStream.OUTPUT_STREAM_STDOUT,
  STDERR: wire.OutputStream.OUTPUT_STREAM_STDERR,
  HEADROOM: wire.OutputStream.OUTPUT_STREAM_HEADROOM,
};

/** Reads the output of a task that has ended, of its newest attempt. */
export async function readOutput(client: HeadroomClient, taskId: string): Promise<TaskOutput> {
  const pieces: wire.StreamTaskLogsResponse[] = [];
  for await (const item of client.tasks.logs(taskId, { signal: AbortSignal.timeout(30_000) })) {
    if (item.kind === "failed") throw new Error(`${item.error.code} ${item.error.reason}: ${item.error.message}`);
    if (item.kind === "item") pieces.push(item.value);
  }
  return {
    text: (stream) =>
      Buffer.concat(pieces.filter((piece) => piece.stream === streamOf[stream]).map(({ data }) => data)).toString(
        "utf8",
      ),
  };
}
