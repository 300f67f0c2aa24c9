import type { wire } from "@headroom/contracts";
import { need, type CommandContext, type Run } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { joinTokenIdOf } from "../ids.ts";
import { age, commandLine, count, shortId, span } from "../output/format.ts";
import type { Cell } from "../output/table.ts";
import { timeOf, word } from "../output/words.ts";
import { readPages, sayLeftOut } from "../pages.ts";

export interface JoinTokenCreateOptions {
  readonly pool: string;
  readonly type?: wire.AgentType;
  /** In ms. */
  readonly ttl?: number;
  readonly maxUses: number;
}

/** `headroom agents token create`: the token alone on stdout, so that a script can take it. */
export function joinTokenCreate({ pool, type, ttl, maxUses }: JoinTokenCreateOptions): Run {
  return async (context) => {
    const answer = need(
      await context.client().fleet.createJoinToken({
        poolName: pool,
        maxUses,
        ...(type !== undefined && { agentType: type }),
        ...(ttl !== undefined && { ttlMs: ttl }),
      }),
    );
    if (context.isJson) {
      context.printJson("registry", "CreateJoinTokenResponse", answer);
      return exitCodes.done;
    }
    context.io.stdout.write(`${answer.joinToken}\n`);
    const left = (timeOf(answer.expiresAt) ?? 0) - context.io.ports.clock.now();
    const { tls } = context.client().connection;
    const flags = [
      ...(tls === null ? [] : [` --tls-ca-file ${commandLine([tls.caFile ?? "CA.pem"], Number.POSITIVE_INFINITY)}`]),
      ...(pool === "default" ? [] : [` --pool ${pool}`]),
      ...(type === undefined ? [] : [` --type ${word("AgentType", type)}`]),
    ];
    context.say(
      `token ${answer.tokenId}: for ${count(maxUses, "agent")}, for ${span(Math.max(0, left))}; it is not shown again`,
    );
    context.say(`on the machine that joins: headroom agent --join TOKEN --registry HOST:7401${flags.join("")}`);
    return exitCodes.done;
  };
}

/** `headroom agents token list` */
export function joinTokenList(limit: number): Run {
  return async (context) => {
    const { fleet } = context.client();
    const answer = await readPages(limit, "tokens", async ({ pageSize, pageToken }) =>
      need(await fleet.listJoinTokens(pageSize, { pageToken })),
    );
    if (context.isJson) context.printJson("registry", "ListJoinTokensResponse", answer);
    else printTokens(context, answer);
    sayLeftOut(context, answer.tokens.length, answer.totalSize);
    return exitCodes.done;
  };
}

/** `headroom agents token revoke ID` */
export function joinTokenRevoke(given: string): Run {
  return async (context) => {
    const tokenId = await joinTokenIdOf(context, given);
    need(await context.client().fleet.revokeJoinToken(tokenId));
    if (context.isJson) context.printJson("registry", "RevokeJoinTokenResponse", {});
    else context.say(`token ${tokenId} is ended: nobody joins with it any more; agents that have joined stay`);
    return exitCodes.done;
  };
}

function printTokens(context: CommandContext, { tokens }: wire.ListJoinTokensResponse): void {
  if (tokens.length === 0) {
    context.say("there is no join token; make one with: headroom agents token create");
    return;
  }
  const now = context.io.ports.clock.now();
  context.printTable(
    ["TOKEN", "POOL", "TYPE", "JOINED", "MADE", "STATE"],
    tokens.map((token): Cell[] => [
      shortId(token.tokenId),
      token.poolName,
      word("AgentType", token.agentType),
      `${token.uses} of ${token.maxUses}`,
      `${age(timeOf(token.createdAt), now)} ago`,
      stateOf(token, now),
    ]),
  );
}

function stateOf(token: wire.JoinToken, nowMs: number): string {
  if (token.revokedAt !== undefined) return "revoked";
  const leftMs = (timeOf(token.expiresAt) ?? 0) - nowMs;
  if (token.usable) return `ends in ${span(Math.max(0, leftMs))}`;
  return token.uses >= token.maxUses ? "used up" : "expired";
}
