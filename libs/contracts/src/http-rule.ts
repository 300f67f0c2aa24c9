/** The REST face of a method: its google.api.http option. */
import { getOption, hasOption, type DescMethod, type FileRegistry, type Message } from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";

export type HttpVerb = "GET" | "PUT" | "POST" | "DELETE" | "PATCH";

export interface HttpRule {
  readonly verb: HttpVerb;
  /** Template as in the .proto: `/api/v1/agents/{agent_id}:cordon`. */
  readonly path: string;
  /** `*`: the JSON body is the request. Empty: there is no body, fields come from path and query. Else the field that is the body. */
  readonly body: string;
}

const VERB_OF_FIELD: ReadonlyMap<string, HttpVerb> = new Map<string, HttpVerb>([
  ["get", "GET"],
  ["put", "PUT"],
  ["post", "POST"],
  ["delete", "DELETE"],
  ["patch", "PATCH"],
]);

/** The rule of a method and its additional bindings; empty where it has none. */
export function httpRulesOf(files: FileRegistry, method: DescMethod): readonly HttpRule[] {
  const option = files.getExtension("google.api.http");
  const schema = files.getMessage("google.api.HttpRule");
  if (option === undefined || schema === undefined || !hasOption(method, option)) return [];
  // The option is declared as a google.api.HttpRule, which TypeScript cannot tell of a schema read at run time.
  const rule = reflect(schema, getOption(method, option) as Message);
  return [rule, ...additionalBindings(rule)].flatMap((each) => readRule(each) ?? []);
}

function additionalBindings(rule: ReflectMessage): readonly ReflectMessage[] {
  const field = rule.fields.find(({ name }) => name === "additional_bindings");
  // A list of google.api.HttpRule, as that file declares it.
  return field?.fieldKind === "list" ? ([...rule.get(field)] as ReflectMessage[]) : [];
}

function readRule(rule: ReflectMessage): HttpRule | null {
  for (const [fieldName, verb] of VERB_OF_FIELD) {
    const path = textField(rule, fieldName);
    if (path !== "") return { verb, path, body: textField(rule, "body") };
  }
  return null;
}

function textField(rule: ReflectMessage, name: string): string {
  const field = rule.fields.find((each) => each.name === name);
  if (field === undefined || !rule.isSet(field)) return "";
  const value: unknown = rule.get(field);
  return typeof value === "string" ? value : "";
}
