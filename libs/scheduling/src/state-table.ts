/**
 * State × event tables in which every cell is written. A cell is either the next state or, with a leading "!", the
 * reason why the event changes nothing. The types leave no room for a forgotten cell or a default branch.
 */

export type Cell<State extends string, Reason extends string> = State | `!${Reason}`;

export type StateTable<State extends string, Event extends string, Reason extends string> = {
  readonly [S in State]: { readonly [E in Event]: Cell<State, Reason> };
};

export type Step<State extends string, Reason extends string> =
  | { readonly kind: "moved"; readonly from: State; readonly to: State }
  | { readonly kind: "rejected"; readonly state: State; readonly reason: Reason };

/** Looks up one cell. `moved` with `to` equal to `from` means: accepted, and nothing about the state changes. */
export function step<State extends string, Event extends string, Reason extends string>(
  table: StateTable<State, Event, Reason>,
  state: State,
  event: Event,
): Step<State, Reason> {
  const cell: Cell<State, Reason> = table[state][event];
  return isRefusal<State, Reason>(cell)
    ? // The template type of the cell guarantees that what follows "!" is a Reason.
      { kind: "rejected", state, reason: cell.slice(1) as Reason }
    : { kind: "moved", from: state, to: cell };
}

function isRefusal<State extends string, Reason extends string>(cell: Cell<State, Reason>): cell is `!${Reason}` {
  return cell.startsWith("!");
}
