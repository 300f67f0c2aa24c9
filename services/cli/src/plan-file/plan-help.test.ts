import { descriptorRegistry } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { planFileHelp } from "./plan-help.ts";

describe("the help on plan files", () => {
  it.each([
    "headroom.orchestrator.v1.WorkPlan",
    "headroom.orchestrator.v1.TaskSpec",
    "headroom.orchestrator.v1.Command",
    "headroom.common.v1.ResourceNeeds",
  ])("names every field of %s", (type) => {
    const fields =
      descriptorRegistry()
        .getMessage(type)
        ?.fields.map(({ name }) => name) ?? [];
    expect(fields).not.toEqual([]);
    // Refused in this version.
    for (const field of fields.filter((name) => name !== "gang")) expect(planFileHelp).toMatch(`${field}:`);
  });
});
