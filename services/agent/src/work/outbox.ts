import type { wire } from "@headroom/contracts";
import { Gathered } from "@headroom/runtime";

type Message = NonNullable<wire.AttachRequest["message"]>;
type Report = NonNullable<wire.AttemptReport["report"]>;

/** The contract's bound; with the longest sentences it is half a megabyte. */
const mostReports = 256;

/** What goes up one work stream: answers, starts and results of one moment as one message, everything in its order. */
export class Outbox {
  readonly #send: (message: Message) => boolean;
  readonly #reports: Gathered<Report>;
  /** The orchestrator has said that it takes several as one. */
  takesReports = false;

  constructor(send: (message: Message) => boolean) {
    this.#send = send;
    this.#reports = new Gathered({
      most: mostReports,
      largest: mostReports,
      sizeOf: () => 1,
      pass: (reports) => this.#pass(reports),
    });
  }

  /** False: the transport is full. */
  send(message: Message): boolean {
    if (this.takesReports && isReport(message)) {
      this.#reports.add(message);
      return true;
    }
    this.flush();
    return this.#send(message);
  }

  flush(): void {
    this.#reports.flush();
  }

  #pass(reports: readonly Report[]): void {
    const [first] = reports;
    if (reports.length === 1 && first !== undefined) this.#send(first);
    else this.#send({ $case: "reports", value: { reports: reports.map((report) => ({ report })) } });
  }
}

function isReport(message: Message): message is Report {
  return message.$case === "answer" || message.$case === "started" || message.$case === "finished";
}
