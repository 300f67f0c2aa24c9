import { descriptorRegistry } from "@headroom/contracts";
import { validate } from "@readme/openapi-parser";
import { describe, expect, it } from "vitest";
import { methodTable, startHttp } from "./http.test-helper.ts";
import { openApiDocument } from "./openapi.ts";
import { routesOf } from "./router.ts";

interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, Record<string, unknown>> };
}
interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly parameters?: readonly { name: string; in: string; description: string; schema: object; style?: string }[];
  readonly security: readonly object[];
  readonly responses: Record<string, unknown>;
}

const document = (): Document =>
  // Made by the very function whose shape is tested here.
  openApiDocument(descriptorRegistry(), routesOf(methodTable({})), {
    name: "registry",
    version: "1",
  }) as unknown as Document;

/** Everything that `$ref` names, anywhere below. */
function references(node: unknown): string[] {
  if (typeof node !== "object" || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) =>
    key === "$ref" && typeof value === "string" ? [value] : references(value),
  );
}

describe("the OpenAPI document", () => {
  it("R-CAP-6: is valid OpenAPI 3.1", async () => {
    // The validator dereferences in place.
    const result = await validate(structuredClone(document()) as unknown as Parameters<typeof validate>[0]);
    expect(result.valid ? [] : result.errors).toEqual([]);
  });

  it("R-CAP-6: describes both paths with their parameters, in the words of the .proto", () => {
    const { paths, openapi } = document();
    expect(openapi).toBe("3.1.0");
    const single = paths["/api/v1/agents/{agent_id}/capacity"]?.["get"];
    expect(single).toMatchObject({
      operationId: "CapacityService_GetAgentCapacity",
      security: [],
      parameters: [{ name: "agent_id", in: "path", required: true }],
    });
    for (const status of ["200", "400", "404", "500"]) expect(single?.responses).toHaveProperty(status);
    const list = paths["/api/v1/agents/available-capacity"]?.["get"];
    expect(list?.description).toContain("online desktops that meet all constraints");
    const parameters = new Map(list?.parameters?.map((parameter) => [parameter.name, parameter]));
    expect(parameters.get("min_gpu_vram_gb")?.description).toContain("Default 0");
    expect(parameters.get("labels")).toMatchObject({ in: "query", style: "deepObject" });
    expect(parameters.get("gpu_models")?.schema).toMatchObject({ type: "array" });
    for (const status of ["200", "400", "500"]) expect(list?.responses).toHaveProperty(status);
  });

  it("has enums as lower-case words with their meaning, and a token where one is needed", () => {
    const { components, paths } = document();
    expect(components.schemas["AgentStatus"]).toMatchObject({
      type: "string",
      enum: ["unspecified", "online", "suspect", "offline", "unknown"],
    });
    expect(components.schemas["AgentStatus"]?.["description"]).toContain("`online`: Its heartbeat stream is up");
    expect(paths["/api/v1/plans"]?.["post"]?.security).toEqual([{ token: [] }]);
    expect(paths["/api/v1/capacity:explain"]?.["post"]?.security).toEqual([{ token: [] }]);
    const check = paths["/api/v1/capacity:check"]?.["get"]?.parameters?.map(({ name }) => name);
    expect(check).toContain("needs.gpu_vram_gb");
  });

  it("documents every field, parameter and operation, and refers to nothing that is not there", () => {
    const made = document();
    const missing: string[] = [];
    for (const [name, schema] of Object.entries(made.components.schemas)) {
      for (const [field, property] of Object.entries((schema["properties"] ?? {}) as Record<string, object>)) {
        if (name !== "Error" && !("description" in property)) missing.push(`${name}.${field}`);
      }
    }
    const ids = new Set<string>();
    for (const item of Object.values(made.paths)) {
      for (const operation of Object.values(item)) {
        ids.add(operation.operationId);
        if (operation.summary === "" || operation.description === "") missing.push(operation.operationId);
        for (const { name, description } of operation.parameters ?? []) if (description === "") missing.push(name);
      }
    }
    expect(missing).toEqual([]);
    expect(ids.size).toBe(Object.values(made.paths).flatMap((item) => Object.keys(item)).length);
    for (const reference of references(made)) {
      const [, , kind, name] = reference.split("/");
      expect(made.components).toHaveProperty([kind ?? "", name ?? ""]);
    }
  });

  it("is served, the same each time", async () => {
    const { ask } = await startHttp();
    const [first, second] = await Promise.all([ask("/openapi.json"), ask("/openapi.json")]);
    expect(first.json()["openapi"]).toBe("3.1.0");
    expect(second.text).toBe(first.text);
  });
});
