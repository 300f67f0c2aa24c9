import { wire } from "@headroom/contracts";
import type { CommandContext, Run } from "../context.ts";
import { cliErrorOf } from "../errors/cli-error.ts";
import { exitCodes } from "../exit-codes.ts";
import { taskIdOf } from "../ids.ts";
import { span } from "../output/format.ts";
import { jsonOf } from "../output/words.ts";

export interface TaskLogsOptions {
  readonly follow: boolean;
  readonly attempt?: string;
}

/** `headroom task logs ID`: stdout on stdout, stderr on stderr, byte for byte; as JSON one piece a line. */
export function taskLogs(given: string, options: TaskLogsOptions): Run {
  return async (context) => {
    const taskId = await taskIdOf(context, given, "read");
    const pieces = context.client().tasks.logs(taskId, {
      follow: options.follow,
      ...(options.attempt !== undefined && { attemptId: options.attempt }),
    });
    for await (const item of pieces) {
      if (item.kind === "failed") throw cliErrorOf(item.error);
      if (item.kind === "item") printPiece(context, item.value);
      else context.say(`headroom: ${item.error.message}; going on in ${span(item.retryInMs)}`);
      // A slow reader holds the stream back, and not this program's memory.
      await context.io.stdout.room();
      await context.io.stderr.room();
    }
    return exitCodes.done;
  };
}

function printPiece(context: CommandContext, piece: wire.StreamTaskLogsResponse): void {
  if (context.isJson) {
    context.io.stdout.write(`${JSON.stringify(jsonOf("orchestrator", "StreamTaskLogsResponse", piece))}\n`);
  } else if (piece.stream === wire.OutputStream.OUTPUT_STREAM_STDOUT) {
    context.io.stdout.write(piece.data);
  } else if (piece.stream === wire.OutputStream.OUTPUT_STREAM_HEADROOM) {
    context.say(`headroom: ${noteText(piece.data)}`);
  } else {
    context.io.stderr.write(piece.data);
  }
}

/** A note is set off from the output around it by brackets and the name; on a line of its own it needs neither. */
function noteText(data: Buffer): string {
  const text = data.toString("utf8").trim();
  return /^\[headroom: (.*)\]$/s.exec(text)?.[1] ?? text;
}
