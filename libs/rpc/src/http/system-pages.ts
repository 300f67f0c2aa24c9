/** What every process shows besides its methods. */
import type { ServerResponse } from "node:http";
import type { Metrics } from "@headroom/runtime";
import type { Health } from "../server/health-state.ts";
import type { Readiness } from "./http-server-options.ts";
import { sendJson, sendText } from "./respond.ts";
import type { Route } from "./router.ts";

export interface SystemPagesOptions {
  readonly name: string;
  readonly version: string;
  readonly routes: readonly Route[];
  readonly metrics: Metrics | undefined;
  readonly health: Health | undefined;
  readonly readiness: (() => Readiness | Promise<Readiness>) | undefined;
  readonly openApi: () => unknown;
}

export type SystemPage = (response: ServerResponse) => Promise<void> | void;

/** By path. All are open reads: they say nothing of what runs. */
export function systemPages(options: SystemPagesOptions): ReadonlyMap<string, SystemPage> {
  const pages = new Map<string, SystemPage>([
    ["/", (response) => sendJson(response, 200, frontPage(options))],
    ["/healthz", (response) => sendJson(response, 200, { status: "ok" })],
    ["/readyz", (response) => sendReadiness(response, options)],
    ["/openapi.json", (response) => sendJson(response, 200, options.openApi())],
  ]);
  const { metrics } = options;
  if (metrics !== undefined) {
    pages.set("/metrics", async (response) => {
      const { contentType, body } = await metrics.render();
      sendText(response, 200, contentType, body);
    });
  }
  return pages;
}

function frontPage({ name, version, routes, metrics }: SystemPagesOptions): unknown {
  return {
    service: `headroom ${name}`,
    version,
    openapi: "/openapi.json",
    health: "/healthz",
    ready: "/readyz",
    ...(metrics === undefined ? {} : { metrics: "/metrics" }),
    rest: routes.map(({ verb, template }) => `${verb} ${template.text}`),
  };
}

async function sendReadiness(response: ServerResponse, options: SystemPagesOptions): Promise<void> {
  const why = await whyNotReady(options);
  if (why === null) return sendJson(response, 200, { status: "ready" });
  sendJson(response, 503, { status: "not_ready", why }, { "retry-after": "1" });
}

async function whyNotReady({ health, readiness }: SystemPagesOptions): Promise<string | null> {
  const said = await readiness?.();
  if (said?.ready === false) return said.why;
  const waiting = [...(health?.list() ?? [])].filter(([, serving]) => !serving).map(([service]) => service);
  if (waiting.length === 0) return null;
  return `not serving yet: ${waiting.map((service) => (service === "" ? "the server as a whole" : service)).join(", ")}`;
}
