import { methodOptions, type HttpVerb } from "@headroom/contracts";
import type { Method, MethodTable } from "../server/method-table.ts";
import { httpProblem } from "./http-problem.ts";
import {
  compareTemplates,
  matchPath,
  parsePathTemplate,
  parseRequestPath,
  type PathTemplate,
} from "./path-template.ts";

export interface Route {
  readonly verb: HttpVerb;
  readonly template: PathTemplate;
  /** The request's body: all of it (`*`) or none (empty). */
  readonly body: string;
  readonly method: Method;
}

export interface RouteMatch {
  readonly route: Route;
  /** Path variables by field name, decoded. */
  readonly variables: ReadonlyMap<string, string>;
}

/** The routes of the methods that are served, from their google.api.http rules. Throws TypeError for a rule that is not supported. */
export function routesOf(methods: MethodTable): readonly Route[] {
  const routes: Route[] = [];
  for (const method of methods.list()) {
    for (const { verb, path, body } of methodOptions(method.name)?.http ?? []) {
      if (body !== "" && body !== "*") throw new TypeError(`${method.name}: body "${body}" is not supported; use "*"`);
      if (method.kind === "duplex") throw new TypeError(`${method.name}: a stream both ways has no REST face`);
      routes.push({ verb, template: parsePathTemplate(path), body, method });
    }
  }
  return routes.sort((a, b) => compareTemplates(a.template, b.template));
}

const NEAR_PATHS = 5;

/** Finds the route of a request. Throws HttpProblem 400, 404 (with near paths) or 405 (with Allow). */
export class Router {
  readonly #routes: readonly Route[];
  readonly #systemPaths: readonly string[];

  constructor(routes: readonly Route[], systemPaths: readonly string[]) {
    this.#routes = routes;
    this.#systemPaths = systemPaths;
  }

  find(httpMethod: string, path: string): RouteMatch {
    const parsed = parseRequestPath(path);
    if (parsed === null) {
      throw httpProblem(400, "INVALID_ARGUMENT", "MALFORMED_PATH", `the path ${shown(path)} is not well-formed`);
    }
    const allowed = new Set<string>();
    let bestShape: string | null = null;
    for (const route of this.#routes) {
      const variables = matchPath(route.template, parsed);
      // Only routes of the most particular template count: DELETE /agents/available-capacity must not remove an agent of that name.
      if (variables === null || (bestShape !== null && bestShape !== route.template.text)) continue;
      bestShape = route.template.text;
      if (route.verb === (httpMethod === "HEAD" ? "GET" : httpMethod)) return { route, variables };
      allowed.add(route.verb);
      if (route.verb === "GET") allowed.add("HEAD");
    }
    if (allowed.size > 0) throw methodNotAllowed(httpMethod, path, [...allowed]);
    throw this.#notFound(path);
  }

  #notFound(path: string): Error {
    const candidates = [...new Set([...this.#routes.map(({ template }) => template.text), ...this.#systemPaths])];
    const near = candidates
      .map((candidate) => ({ candidate, distance: pathDistance(candidate, path) }))
      .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
      .slice(0, NEAR_PATHS)
      .map(({ candidate }) => candidate);
    const message = `there is no ${shown(path)} here; near it: ${near.join(", ")}; all paths: /openapi.json`;
    return httpProblem(404, "NOT_FOUND", "NO_SUCH_PATH", message);
  }
}

export function methodNotAllowed(httpMethod: string, path: string, allowed: readonly string[]): Error {
  const allow = allowed.toSorted().join(", ");
  const message = `${shown(path)} does not know ${httpMethod}; it knows ${allow}`;
  return httpProblem(405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED", message, { allow });
}

/** Small for paths that share words with the one asked for, in whatever place. */
function pathDistance(candidate: string, path: string): number {
  const words = (text: string): readonly string[] =>
    text
      .toLowerCase()
      .split(/[/:{}]+/)
      .filter((word) => word !== "");
  const ours = words(candidate);
  const theirs = words(path);
  const shared = ours.filter((word) => theirs.some((other) => isLike(word, other))).length;
  return ours.length + theirs.length - 2 * shared;
}

function isLike(word: string, other: string): boolean {
  return word === other || (other.length >= 4 && (word.startsWith(other.slice(0, 4)) || other.startsWith(word)));
}

function shown(path: string): string {
  return path.length <= 128 ? path : `${path.slice(0, 125)}...`;
}
