import type { wire } from "@headroom/contracts";
import { Gathered } from "@headroom/runtime";
import type { ToAgent } from "./wire-messages.ts";

type Item = NonNullable<wire.WorkItem["item"]>;

/** The contract's bound. */
const mostItems = 256;
/** Characters of commands: far below what one message may be. */
const largestMessage = 262_144;

/** What goes down one work stream: assignments and acknowledgements of one moment as one message, everything in its order. */
export class Outbox {
  readonly #send: (message: ToAgent) => void;
  readonly #takesItems: boolean;
  readonly #items: Gathered<Item>;

  /** `takesItems`: the agent has said that it does. */
  constructor(send: (message: ToAgent) => void, takesItems: boolean) {
    this.#send = send;
    this.#takesItems = takesItems;
    this.#items = new Gathered({
      most: mostItems,
      largest: largestMessage,
      sizeOf,
      pass: (items) => this.#pass(items),
    });
  }

  send(message: ToAgent): void {
    const said = message.message;
    if (this.#takesItems && (said?.$case === "assignment" || said?.$case === "finishedAck"))
      return this.#items.add(said);
    this.flush();
    this.#send(message);
  }

  flush(): void {
    this.#items.flush();
  }

  #pass(items: readonly Item[]): void {
    const [first] = items;
    if (items.length === 1) this.#send({ message: first });
    else this.#send({ message: { $case: "items", value: { items: items.map((item) => ({ item })) } } });
  }
}

function sizeOf(item: Item): number {
  const command = item.$case === "assignment" ? item.value.command : undefined;
  if (command === undefined) return 0;
  const texts = [...command.argv, ...Object.entries(command.env).flat(), command.workingDir];
  return texts.reduce((size, text) => size + text.length, 0);
}
