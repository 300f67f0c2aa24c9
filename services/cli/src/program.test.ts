import { describe, expect, it } from "vitest";
import { runTestCli } from "./cli.test-helper.ts";

describe("--help", () => {
  it.each([
    ["capacity"],
    ["capacity", "explain"],
    ["plan", "get"],
    ["plan", "dispatch"],
    ["agents", "list"],
    ["queue", "check"],
    ["agent", "hold"],
  ])("of %s %s shows the options that every command knows", async (...command) => {
    const { code, stdout } = await runTestCli([...command, "--help"]);
    expect(stdout).toMatch(/Global Options:\n/);
    for (const option of [
      "-o, --output <format>",
      "--registry <host:port>",
      "--token-file <path>",
      "--tls-ca-file <path>",
    ]) {
      expect(stdout).toContain(option);
    }
    expect(code).toBe(0);
  });

  it("of the program shows them once", async () => {
    const { stdout } = await runTestCli(["--help"]);
    expect(stdout.match(/--output <format>/g)).toHaveLength(1);
  });
});

describe("headroom agent", () => {
  it.each([
    ["--registry", "HEADROOM_REGISTRY_ADDR"],
    ["--registry-addr", "HEADROOM_REGISTRY_ADDR"],
    ["--orchestrator", "HEADROOM_ORCHESTRATOR_ADDR"],
    ["--orchestrator-addr", "HEADROOM_ORCHESTRATOR_ADDR"],
  ])("takes the address of a service by %s", async (flag, variable) => {
    // An address that is none is refused by name, before anything starts.
    for (const args of [
      ["agent", flag, "nonsense"],
      ["agent", `${flag}=nonsense`],
    ]) {
      const { code, stderr } = await runTestCli(args);
      expect(stderr).toMatch(new RegExp(`${variable}.*"nonsense"`));
      expect(code).toBe(1);
    }
  });

  it("says in its help that both names will do", async () => {
    expect((await runTestCli(["agent", "--help"])).stdout).toMatch(/--registry and --orchestrator, .* the same two/);
    expect((await runTestCli(["registry", "--help"])).stdout).not.toContain("the same two");
  });
});
