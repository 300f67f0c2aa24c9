import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { createClient, createTokenAuth, ensureTokenFile, readTokenFile, TokenFileError } from "../index.ts";
import { addressOf, agentId, onTestEnd, openChannel, startServer, token } from "../rpc.test-helper.ts";

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "headroom-token-"));
  onTestEnd(() => rmSync(path, { recursive: true }));
  return path;
}

describe("the token on calls", () => {
  it("open methods need none; others say where it lies and how to pass it", async () => {
    const server = await startServer();
    const anonymous = createClient(wire.CapacityServiceService, openChannel(addressOf(server), { token: null }));
    await anonymous.getAgentCapacity({ agentId });
    const refused = anonymous.reserveCapacity(wire.ReserveCapacityRequest.fromPartial({}));
    await expect(refused).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
      reason: "TOKEN_REQUIRED",
      metadata: { token_file: "/data/token" },
    });
    await expect(refused).rejects.toThrow(
      /the token lies in \/data\/token .*--token-file \/data\/token .*--join JOIN_TOKEN/,
    );
    await expect(refused).rejects.toThrow('-H "authorization: Bearer $(cat /data/token)"');
  });

  it("a wrong or malformed token is TOKEN_INVALID, the right one holds all roles", async () => {
    const policy = createTokenAuth({ token });
    const authorize = (
      authorization: string | undefined,
      access: "open" | "agent" | "planner" | "operator" = "operator",
    ) => policy.authorize({ method: "x.Y/Z", access, authorization, peer: "127.0.0.1:1" });
    for (const wrong of ["Bearer wrong", `bearer ${token}x`, `Basic ${token}`, "", token, `Bearer ${token} ${token}`]) {
      expect(() => authorize(wrong)).toThrow(
        expect.objectContaining({ code: "UNAUTHENTICATED", reason: "TOKEN_INVALID" }),
      );
    }
    const withFile = createTokenAuth({ token, tokenFile: "/data/token" });
    const basic = { method: "x.Y/Z", access: "open", authorization: "Basic x", peer: "127.0.0.1:1" } as const;
    expect(() => withFile.authorize(basic)).toThrow('not of the form "Bearer TOKEN"; the token lies in /data/token');
    // Whoever shows a wrong token learns it even where none is needed.
    expect(() => authorize("Bearer wrong", "open")).toThrow(expect.objectContaining({ reason: "TOKEN_INVALID" }));
    for (const right of [`Bearer ${token}`, `bearer  ${token} `]) {
      expect(await authorize(right)).toMatchObject({ roles: new Set(["agent", "planner", "operator"]) });
    }
    expect(await authorize(undefined, "open")).toMatchObject({ roles: new Set() });
  });

  it("a role that a caller does not hold is PERMISSION_DENIED, whatever the policy forgot", async () => {
    const server = await startServer(
      {},
      { auth: { requiresCredential: true, authorize: ({ peer }) => ({ roles: new Set(["agent"] as const), peer }) } },
    );
    const client = createClient(wire.CapacityServiceService, openChannel(addressOf(server)));
    await expect(client.releaseCapacity(wire.ReleaseCapacityRequest.fromPartial({}))).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
      reason: "ROLE_REQUIRED",
    });
  });
});

describe("the token file", () => {
  it("is made once, 0600, with a random token, also when several start at once", async () => {
    const path = join(folder(), "sub", "token");
    const tokens = await Promise.all(Array.from({ length: 20 }, () => ensureTokenFile(path)));
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).toMatch(/^[\w-]{43}$/);
    expect(await readTokenFile(path)).toBe(tokens[0]);
    expect(readdirSync(join(path, ".."))).toEqual(["token"]);
    if (process.platform !== "win32") expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await ensureTokenFile(path)).toBe(tokens[0]);
  });

  it.skipIf(process.platform === "win32")(
    "one that others can read is refused with the command that mends it",
    async () => {
      const path = join(folder(), "token");
      await ensureTokenFile(path);
      chmodSync(path, 0o640);
      await expect(ensureTokenFile(path)).rejects.toThrow(`chmod 600 ${path}`);
      execFileSync("chmod", ["600", path]);
      await ensureTokenFile(path);
    },
  );

  it("one that is missing, empty or in a place that cannot be is a TokenFileError that names it", async () => {
    const path = join(folder(), "token");
    await expect(readTokenFile(path)).rejects.toThrow(TokenFileError);
    writeFileSync(path, "\n", { mode: 0o600 });
    await expect(ensureTokenFile(path)).rejects.toThrow("holds no token");
    await expect(ensureTokenFile(join(path, "token"))).rejects.toThrow(TokenFileError);
  });
});
