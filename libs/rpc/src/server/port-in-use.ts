/** Another program listens on the address already. */
export class PortInUseError extends Error {
  override readonly name = "PortInUseError";
  readonly address: string;

  constructor(server: string, address: string, setting: string | undefined, cause?: unknown) {
    const change = setting === undefined ? "configure another address" : `choose another address with ${setting}`;
    super(
      `${server} cannot listen on ${address}: another program listens there already. Stop it (another Headroom, perhaps), or ${change}`,
      { cause },
    );
    this.address = address;
  }
}
