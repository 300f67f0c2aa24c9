import { describe, expect, it } from "vitest";
import { checkBindAddress, InsecureBindError, isLoopbackHost } from "../index.ts";
import { makeServer } from "../rpc.test-helper.ts";

describe("where a server may listen", () => {
  it("knows loopback in all its spellings", () => {
    for (const host of [
      "127.0.0.1",
      "127.8.9.10",
      "localhost",
      "LOCALHOST",
      "::1",
      "[::1]",
      "0:0:0:0:0:0:0:1",
      "::ffff:127.0.0.1",
    ]) {
      expect(isLoopbackHost(host)).toBe(true);
    }
    for (const host of [
      "0.0.0.0",
      "::",
      "10.0.0.1",
      "localhost.example.com",
      "127.0.0.1.example.com",
      "1270.0.0.1",
      "host",
      "",
    ]) {
      expect(isLoopbackHost(host)).toBe(false);
    }
  });

  it("another address without protection is refused, with what to set", () => {
    const open = { host: "0.0.0.0", tls: false, token: true, allowPlaintext: false };
    expect(() => checkBindAddress(open)).toThrow(InsecureBindError);
    expect(() => checkBindAddress(open)).toThrow(
      /HEADROOM_TLS_CERT_FILE and HEADROOM_TLS_KEY_FILE, or HEADROOM_ALLOW_PLAINTEXT=true/,
    );
    expect(() => checkBindAddress({ ...open, tls: true })).not.toThrow();
    expect(() => checkBindAddress({ ...open, allowPlaintext: true })).not.toThrow();
    expect(() => checkBindAddress({ ...open, tls: true, token: false })).toThrow(/HEADROOM_TOKEN_FILE/);
    expect(() => checkBindAddress({ ...open, host: "127.0.0.1", token: false })).not.toThrow();
  });

  it("holds for a server's start", async () => {
    await expect(makeServer({}, { listen: { grpc: "0.0.0.0:0" } }).start()).rejects.toThrow(InsecureBindError);
    const allowed = makeServer({}, { listen: { grpc: "0.0.0.0:0" }, allowPlaintext: true });
    await allowed.start();
    await allowed.stop();
  });
});
