/** What the repository is made of, as its requirements name it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");

const packages = ["libs", "services"].flatMap((folder) =>
  readdirSync(join(root, folder)).map((name) => join(root, folder, name)),
);

/** All programs of the packages, without their tests. */
function sources(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : sources(path);
    return /(?<!\.test|\.test-helper)\.ts$/.test(entry.name) ? [path] : [];
  });
}

describe("R-SHAPE-3: built on", () => {
  const programs = packages.flatMap((folder) => sources(join(folder, "src")).map((path) => readFileSync(path, "utf8")));

  it.each(["@grpc/grpc-js", "@grpc/proto-loader", "knex", "pg", "pino"])("%s", (name) => {
    const importers = programs.filter((text) => text.includes(` from "${name}";`));
    expect(importers.length).toBeGreaterThan(0);
    const manifests = packages.map((folder) => readFileSync(join(folder, "package.json"), "utf8"));
    const dependencies = manifests.map(
      (text) => (JSON.parse(text) as { dependencies?: Readonly<Record<string, string>> }).dependencies ?? {},
    );
    expect(dependencies.some((ofPackage) => name in ofPackage)).toBe(true);
  });

  it("ts-proto, which has written all generated code", () => {
    const generated = sources(join(root, "libs/contracts/src/gen"));
    expect(generated.length).toBeGreaterThan(5);
    const written = generated.filter((path) => readFileSync(path, "utf8").includes("protoc-gen-ts_proto"));
    // The rest are the indexes, and the compiler's descriptor set.
    expect(written.length).toBeGreaterThan(5);
  });
});

describe("R-SHAPE-4: the top level has", () => {
  it.each(["package.json", "tsconfig.json", "proto", "services", "libs", "test", "docker-compose.yml"])(
    "%s",
    (name) => {
      expect(existsSync(join(root, name))).toBe(true);
    },
  );
});
