import { describe, expect, it } from "vitest";
import { compareTemplates, matchPath, parsePathTemplate, parseRequestPath } from "./path-template.ts";

const match = (template: string, path: string): Record<string, string> | null => {
  const parsed = parseRequestPath(path);
  const variables = parsed === null ? null : matchPath(parsePathTemplate(template), parsed);
  return variables === null ? null : Object.fromEntries(variables);
};

describe("path templates", () => {
  it("match literals, variables and custom verbs", () => {
    expect(match("/api/v1/agents", "/api/v1/agents")).toEqual({});
    expect(match("/api/v1/agents/{agent_id}/capacity", "/api/v1/agents/a%2Fb/capacity")).toEqual({ agent_id: "a/b" });
    expect(match("/api/v1/agents/{agent_id}:cordon", "/api/v1/agents/x:cordon")).toEqual({ agent_id: "x" });
    expect(match("/api/v1/queue:resume", "/api/v1/queue:resume")).toEqual({});
  });

  it("do not match anything else", () => {
    expect(match("/api/v1/agents/{agent_id}", "/api/v1/agents/")).toBeNull();
    expect(match("/api/v1/agents/{agent_id}", "/api/v1/agents/x:cordon")).toBeNull();
    expect(match("/api/v1/agents/{agent_id}:cordon", "/api/v1/agents/x")).toBeNull();
    expect(match("/api/v1/agents", "/api/v1/agents/x")).toBeNull();
    expect(match("/api/v1/agents", "//api/v1/agents")).toBeNull();
    expect(parseRequestPath("http://evil.example/")).toBeNull();
    expect(parseRequestPath("*")).toBeNull();
    expect(parseRequestPath("/%E0%A4%A")).toBeNull();
  });

  it("put a literal before a variable", () => {
    const templates = ["/a/{x}", "/a/b", "/a/{x}/c", "/{y}/b"].map(parsePathTemplate);
    expect(templates.sort(compareTemplates).map(({ text }) => text)).toEqual(["/a/b", "/a/{x}", "/a/{x}/c", "/{y}/b"]);
  });

  it("refuse what they do not support, at the start", () => {
    for (const text of ["api", "/a/{x=b/*}", "/a/**", "/a/{x}.json", "/a:b:c"]) {
      expect(() => parsePathTemplate(text)).toThrow(TypeError);
    }
  });
});
