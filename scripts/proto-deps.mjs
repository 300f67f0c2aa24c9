// Writes the third-party .proto files that ours import into proto-deps/ (not committed), from installed npm packages.
// buf/validate/validate.proto is shipped by no npm package as source, so it is printed from the descriptor in @bufbuild/protovalidate.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const out = join(root, "proto-deps");
const modules = join(root, "node_modules");

const COPIES = [
  ["google-proto-files", "google/api/annotations.proto"],
  ["google-proto-files", "google/api/http.proto"],
  ["google-proto-files", "google/rpc/status.proto"],
  ["google-proto-files", "google/rpc/error_details.proto"],
];

const SCALARS = {
  1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 6: "fixed64", 7: "fixed32", 8: "bool", 9: "string",
  12: "bytes", 13: "uint32", 15: "sfixed32", 16: "sfixed64", 17: "sint32", 18: "sint64",
}; // prettier-ignore

/** Prints one message of a proto2 file. Its predefined CEL rules are left out: the validator carries its own copy of them. */
function printMessage(message) {
  const lines = message.proto.field.map((field) => ({ field, text: `  ${printField(field, field.oneofIndex)}` }));
  const body = [];
  const seenOneofs = new Set();
  for (const { field, text } of lines) {
    const index = Object.hasOwn(field, "oneofIndex") ? field.oneofIndex : undefined;
    if (index === undefined) body.push(text);
    else if (!seenOneofs.has(index)) {
      seenOneofs.add(index);
      const members = lines.filter(
        (line) => Object.hasOwn(line.field, "oneofIndex") && line.field.oneofIndex === index,
      );
      body.push(`  oneof ${message.proto.oneofDecl[index].name} {`, ...members.map((m) => `  ${m.text}`), "  }");
    }
  }
  const ranges = message.proto.extensionRange.map(
    (range) => `  extensions ${range.start} to ${range.end >= 536870912 ? "max" : range.end - 1};`,
  );
  return `message ${message.name} {\n${[...body, ...ranges].join("\n")}\n}`;
}

function printField(field, oneofIndex) {
  const type = field.typeName ? field.typeName.replace(/^\./, "") : SCALARS[field.type];
  const inOneof = Object.hasOwn(field, "oneofIndex") && oneofIndex !== undefined;
  const label = field.label === 3 ? "repeated " : inOneof ? "" : "optional ";
  return `${label}${type} ${field.name} = ${field.number};`;
}

async function printValidateProto() {
  const entry = createRequire(join(root, "libs/rpc/package.json")).resolve("@bufbuild/protovalidate");
  const generated = join(dirname(entry).replace(/cjs$/, "esm"), "gen/buf/validate/validate_pb.js");
  const { file_buf_validate_validate: file } = await import(pathToFileURL(generated).href);
  const parts = [
    'syntax = "proto2";',
    "package buf.validate;",
    ...file.proto.dependency.map((name) => `import "${name}";`),
    ...file.enums.map((e) => `enum ${e.name} {\n${e.values.map((v) => `  ${v.name} = ${v.number};`).join("\n")}\n}`),
    ...file.messages.map(printMessage),
    ...file.proto.extension.map((e) => `extend ${e.extendee.replace(/^\./, "")} {\n  ${printField(e)}\n}`),
  ];
  return `${parts.join("\n\n")}\n`;
}

/** Fills proto-deps/. Called before every use of buf. */
export async function writeProtoDeps() {
  rmSync(out, { recursive: true, force: true });
  for (const [pkg, file] of COPIES) {
    const from = join(modules, pkg, file);
    if (!existsSync(from)) throw new Error(`${from} is missing: run npm ci`);
    mkdirSync(dirname(join(out, file)), { recursive: true });
    cpSync(from, join(out, file));
  }
  const health = join(modules, "grpc-health-check/proto/health/v1/health.proto");
  mkdirSync(join(out, "grpc/health/v1"), { recursive: true });
  writeFileSync(join(out, "grpc/health/v1/health.proto"), readFileSync(health));
  mkdirSync(join(out, "buf/validate"), { recursive: true });
  writeFileSync(join(out, "buf/validate/validate.proto"), await printValidateProto());
}
