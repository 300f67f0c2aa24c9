/**
 * Which address of a name a connection is made to: one drawn anew for each connection, also when one was lost, so that clients spread over the servers
 * behind the name, and whoever connects again is not led back to the first one that takes connections, whether it can serve or not. `pick_first` of
 * grpc-js has a setting for it (gRFC A62), which leaves two addresses in their order. Whoever left a connection on purpose goes to another address first;
 * that of a server with several may lead there again.
 */
import { connectivityState, experimental, Metadata } from "@grpc/grpc-js";
import type { Random } from "@headroom/runtime";
import { drawAddresses } from "./draw-addresses.ts";

/** The name of the policy in a service config. */
export const anyAddressPolicy = "headroom_any_address";
/** The option of a channel that the policy needs. */
export const addressChoiceOption = "headroom.address_choice";

export interface AddressChoice {
  readonly random: Pick<Random, "next">;
  /** Address of the connection that was left for this one, and not the server behind it; null: none was. */
  readonly left: string | null;
  readonly onConnected: (address: string) => void;
}

/** Where a client's connections went. Given to one channel after another, it leads each to another address than the one before was at. */
export class LeftAddress {
  /** Of the newest connection; until that is made, of the one before. */
  #peer: { address: string | null } = { address: null };

  /** For the next connection. What an older one still says does not count any more. */
  choice(random: AddressChoice["random"]): AddressChoice {
    const { address: left } = this.#peer;
    const own = (this.#peer = { address: left });
    return { random, left, onConnected: (where) => void (own.address = where) };
  }
}

/** From now on, for all channels of this process whose service config names it. Idempotent. */
export function registerAnyAddress(): void {
  if (!experimental.isLoadBalancerNameRegistered(anyAddressPolicy))
    experimental.registerLoadBalancerType(anyAddressPolicy, AnyAddress, AnyAddressConfig);
}

class AnyAddressConfig implements experimental.TypedLoadBalancingConfig {
  static createFromJson(): AnyAddressConfig {
    return new AnyAddressConfig();
  }

  getLoadBalancerName(): string {
    return anyAddressPolicy;
  }

  toJsonObject(): object {
    return { [anyAddressPolicy]: {} };
  }
}

type UpdateAddressList = experimental.LoadBalancer["updateAddressList"];

/** What `pick_first` does, over addresses in another order. */
class AnyAddress implements experimental.LoadBalancer {
  readonly #first: experimental.ChildLoadBalancerHandler;
  readonly #config = experimental.parseLoadBalancingConfig({ pick_first: {} });
  #choice: AddressChoice | undefined;
  #isIdle = true;
  /** Draws again among the addresses that were resolved last. */
  #drawAgain: (() => void) | undefined;

  constructor(helper: experimental.ChannelControlHelper) {
    const updateState: typeof helper.updateState = (state, picker, errorMessage) => {
      this.#isIdle = state === connectivityState.IDLE;
      if (state === connectivityState.READY) this.#note(picker);
      helper.updateState(state, picker, errorMessage);
    };
    this.#first = new experimental.ChildLoadBalancerHandler(
      experimental.createChildChannelControlHelper(helper, { updateState }),
    );
  }

  updateAddressList(...[endpoints, , options, note]: Parameters<UpdateAddressList>): boolean {
    this.#choice = options[addressChoiceOption] as AddressChoice | undefined;
    if (!endpoints.ok) return this.#first.updateAddressList(endpoints, this.#config, options, note);
    const draw = (): boolean => {
      const ordered = experimental.statusOrFromValue(this.#inOrder(endpoints.value));
      return this.#first.updateAddressList(ordered, this.#config, options, note);
    };
    this.#drawAgain = draw;
    return draw();
  }

  /** A connection was lost, and the next call wants one: of itself `pick_first` would go through the addresses in the order in which it did before. */
  exitIdle(): void {
    if (this.#isIdle && this.#drawAgain !== undefined) this.#drawAgain();
    else this.#first.exitIdle();
  }

  resetBackoff(): void {
    this.#first.resetBackoff();
  }

  destroy(): void {
    this.#first.destroy();
  }

  getTypeName(): string {
    return anyAddressPolicy;
  }

  #inOrder(endpoints: readonly experimental.Endpoint[]): experimental.Endpoint[] {
    const choice = this.#choice;
    if (choice === undefined) return [...endpoints];
    return drawAddresses(endpoints, choice.random, choice.left);
  }

  #note(picker: experimental.Picker): void {
    const { subchannel } = picker.pick({ metadata: new Metadata(), extraPickInfo: {} });
    if (subchannel !== null) this.#choice?.onConnected(subchannel.getAddress());
  }
}
