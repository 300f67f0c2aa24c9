/** Paths of google.api.http: `/api/v1/agents/{agent_id}:cordon`. Only what our contract uses: variables of one segment. */

type Segment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "variable"; readonly field: string };

export interface PathTemplate {
  /** As in the .proto. */
  readonly text: string;
  readonly segments: readonly Segment[];
  /** What stands behind ":" at the end; empty: nothing. */
  readonly customVerb: string;
}

/** Throws TypeError for a template of another form, so that a route that could never match is found at the start. */
export function parsePathTemplate(text: string): PathTemplate {
  const match = /^\/([^:]+)(?::([A-Za-z][A-Za-z0-9]*))?$/.exec(text);
  if (match === null) throw new TypeError(`the path template ${text} is not supported`);
  const segments = (match[1] ?? "").split("/").map((part) => parseSegment(part, text));
  return { text, segments, customVerb: match[2] ?? "" };
}

function parseSegment(part: string, text: string): Segment {
  const field = /^\{([a-z][a-z0-9_]*)\}$/.exec(part)?.[1];
  if (field !== undefined) return { kind: "variable", field };
  if (!/^[A-Za-z0-9._~-]+$/.test(part)) throw new TypeError(`the path template ${text} is not supported`);
  return { kind: "literal", text: part };
}

/** A path as it came, cut into the same parts. */
export interface RequestPath {
  readonly segments: readonly string[];
  readonly customVerb: string;
}

/** Null for a path that is malformed: no leading slash, or a broken %-escape. */
export function parseRequestPath(path: string): RequestPath | null {
  if (!path.startsWith("/")) return null;
  const parts = path.slice(1).split("/");
  const last = parts.pop() ?? "";
  const colon = last.lastIndexOf(":");
  const customVerb = colon < 0 ? "" : last.slice(colon + 1);
  parts.push(colon < 0 ? last : last.slice(0, colon));
  try {
    return { segments: parts.map((part) => decodeURIComponent(part)), customVerb };
  } catch {
    return null;
  }
}

/** The variables of a path that matches, by field name; null when it does not. */
export function matchPath(template: PathTemplate, path: RequestPath): ReadonlyMap<string, string> | null {
  if (template.customVerb !== path.customVerb || template.segments.length !== path.segments.length) return null;
  const variables = new Map<string, string>();
  for (const [index, segment] of template.segments.entries()) {
    const given = path.segments[index] ?? "";
    if (given === "") return null;
    if (segment.kind === "variable") variables.set(segment.field, given);
    else if (segment.text !== given) return null;
  }
  return variables;
}

/** Orders templates so that the first match is the most particular: a literal goes before a variable, from the left. */
export function compareTemplates(a: PathTemplate, b: PathTemplate): number {
  for (const [index, segment] of a.segments.entries()) {
    const other = b.segments[index];
    if (other !== undefined && other.kind !== segment.kind) return segment.kind === "literal" ? -1 : 1;
  }
  return a.text < b.text ? -1 : a.text > b.text ? 1 : 0;
}
