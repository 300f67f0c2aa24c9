import type { CliIo, Output } from "../io.ts";

export type Colour = "green" | "yellow" | "red" | "blue" | "grey" | "bold";

const codes: Readonly<Record<Colour, readonly [number, number]>> = {
  green: [32, 39],
  yellow: [33, 39],
  red: [31, 39],
  blue: [34, 39],
  grey: [90, 39],
  bold: [1, 22],
};

/** Paints text, or leaves it as it is. */
export type Paint = (colour: Colour | null, text: string) => string;

const plain: Paint = (_colour, text) => text;

/** Colours only where a person looks (a terminal), and not when NO_COLOR is set (https://no-color.org). */
export function paintFor(output: Output, env: CliIo["env"]): Paint {
  const wanted = output.isTTY && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  if (!wanted) return plain;
  return (colour, text) => {
    if (colour === null || text === "") return text;
    const [on, off] = codes[colour];
    return `\u001B[${on}m${text}\u001B[${off}m`;
  };
}

const stateColours: Readonly<Record<string, Colour>> = {
  online: "green",
  running: "green",
  succeeded: "green",
  dispatched: "green",
  paused: "yellow",
  partly_paused: "yellow",
  suspect: "yellow",
  pending: "blue",
  reserved: "blue",
  assigned: "blue",
  failed: "red",
  lost: "red",
  cancelled: "grey",
  offline: "grey",
  unknown: "grey",
};

/** The colour of a state's word. */
export function colourOfState(state: string): Colour | null {
  return stateColours[state] ?? null;
}
