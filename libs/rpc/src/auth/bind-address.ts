export interface BindAddress {
  /** Host that a server is to listen on. */
  readonly host: string;
  /** The server speaks TLS. */
  readonly tls: boolean;
  /** Callers must show a token (or another credential). */
  readonly token: boolean;
  /** The operator says that the network itself is protected. */
  readonly allowPlaintext: boolean;
}

/** A server would be open to other machines without protection. */
export class InsecureBindError extends Error {
  override readonly name = "InsecureBindError";
}

/** Whether only this machine reaches the address. A name other than localhost counts as reachable. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.toLowerCase().replace(/^\[|\]$/g, "");
  if (bare === "localhost" || bare === "::1" || bare === "0:0:0:0:0:0:0:1") return true;
  return /^(?:::ffff:)?127(?:\.\d{1,3}){3}$/.test(bare);
}

/** Whether a call comes from this machine; `peer` is "ADDRESS:PORT" as the socket says, which nobody elsewhere can pretend. */
export function isLoopbackPeer(peer: string): boolean {
  return isLoopbackHost(peer.replace(/:\d+$/, ""));
}

/** Throws InsecureBindError when other machines could reach the address and nothing protects it; the message says what to set. */
export function checkBindAddress(address: BindAddress): void {
  if (isLoopbackHost(address.host)) return;
  const missing: string[] = [];
  if (!address.tls && !address.allowPlaintext) {
    missing.push(
      "set HEADROOM_TLS_CERT_FILE and HEADROOM_TLS_KEY_FILE, or HEADROOM_ALLOW_PLAINTEXT=true when the network itself is protected",
    );
  }
  if (!address.token) missing.push("set HEADROOM_TOKEN_FILE to the file that holds the token callers must show");
  if (missing.length === 0) return;
  throw new InsecureBindError(
    `will not listen on ${address.host}: other machines could reach it, and start commands there. ` +
      `${missing.join("; and ")}; or listen on 127.0.0.1`,
  );
}
