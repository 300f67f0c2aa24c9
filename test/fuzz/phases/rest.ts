/** Every REST path of both services, from the descriptors, with bodies, queries and headers that are not right. */
import { methodContracts } from "@headroom/contracts";
import fc from "fast-check";
import { restCall } from "../../integration/bad-input-rest.ts";
import { writeRaw } from "../calls/h2-frames.ts";
import type { PhaseRun } from "../support/tally.ts";
import { oneCase, type RestCase, type Route } from "../messages/rest-cases.ts";
import type { World } from "../support/world.ts";
import { restByHand } from "./rest-by-hand.ts";

export async function rest(run: PhaseRun): Promise<void> {
  const { world, tally, seed, effort } = run;
  const routes = routesOf(world);
  const lanes = 8;
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      const mine = routes.filter((_route, n) => n % lanes === lane);
      const outcome = await fc.check(
        fc.asyncProperty(oneCase(mine, world), async (one) => {
          tally.case("REST");
          const wrong = await ask(one, world.token, (code) => tally.answer(code));
          if (wrong !== null) throw new Error(wrong);
        }),
        {
          seed: seed + lane,
          numRuns: Math.ceil(effort * 30 * mine.length),
          interruptAfterTimeLimit: 120_000,
          markInterruptAsFailure: false,
        },
      );
      if (!outcome.failed) return;
      const [one] = outcome.counterexample ?? [];
      tally.find(
        "rest",
        String(outcome.errorInstance),
        `seed ${outcome.seed}, path ${outcome.counterexamplePath}, ${JSON.stringify(one).slice(0, 1_500)}`,
      );
    }),
  );
  await restByHand(run);
}

function routesOf(world: World): readonly Route[] {
  const { registry, orchestrator } = world.cluster;
  const routes = [...methodContracts().values()].flatMap(({ service, http, streaming }) =>
    http.map(({ verb, path }) => ({
      verb,
      path,
      address: (service.startsWith("headroom.registry.") ? registry : orchestrator).httpAddress,
      isStream: streaming !== "unary",
    })),
  );
  const pages = ["/", "/healthz", "/readyz", "/openapi.json", "/metrics"].flatMap((path) =>
    [registry, orchestrator].map(({ httpAddress }) => ({ verb: "GET", path, address: httpAddress, isStream: false })),
  );
  return [...routes, ...pages];
}

const ourFault = new Set([500, 502]);

async function ask(
  { route, verb, path, body, headers }: RestCase,
  token: string,
  note: (code: string) => void,
): Promise<string | null> {
  if (route.isStream) {
    const text = `${verb} ${path} HTTP/1.1\r\nhost: ${route.address}\r\nauthorization: Bearer ${token}\r\n\r\n`;
    const { received, ended } = await writeRaw(route.address, [Buffer.from(text, "latin1")], { listenMs: 250 });
    note("REST stream");
    return received > 0 || !ended ? null : `${verb} ${path} was answered with nothing`;
  }
  const answer = await restCall({
    address: route.address,
    verb,
    path,
    token,
    headers,
    ...(body !== undefined && { body }),
  }).catch((error: unknown) => String(error));
  if (typeof answer === "string") {
    // A connection that ends is an answer to what is no HTTP; the client's own refusals are none of ours.
    note(/ECONNRESET|socket hang up|EPIPE/.test(answer) ? "REST connection ended" : "REST not sent");
    return null;
  }
  note(`http ${answer.status}`);
  if (ourFault.has(answer.status)) return `${verb} ${path}: ${answer.status} ${answer.text.slice(0, 300)}`;
  if (answer.status < 400 || verb === "HEAD" || answer.text === "") return null;
  const { error } = JSON.parse(answer.text) as { readonly error?: { readonly reason?: string } };
  return /^[A-Z][A-Z0-9_]+$/.test(error?.reason ?? "")
    ? null
    : `${verb} ${path}: ${answer.status} without a reason: ${answer.text}`;
}
