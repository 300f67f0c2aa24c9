import { createHash, timingSafeEqual } from "node:crypto";
import type { Caller, Role } from "../call.ts";
import { HeadroomError } from "../errors.ts";
import type { AccessRequest, AuthPolicy } from "./auth-policy.ts";

export interface TokenAuthOptions {
  /** The token that callers show; it holds all roles. */
  readonly token: string;
  /** Where it lies on this machine, for the error's way out. */
  readonly tokenFile?: string;
}

const allRoles: ReadonlySet<Role> = new Set<Role>(["agent", "planner", "operator"]);
const noRoles: ReadonlySet<Role> = new Set<Role>();

/** One token for everything that is not open: `authorization: Bearer TOKEN`. */
export function createTokenAuth(options: TokenAuthOptions): AuthPolicy {
  // Digests have one length, so that the comparison takes the same time for every guess.
  const expected = digest(options.token);
  return {
    requiresCredential: true,
    authorize(request): Caller {
      if (request.authorization === undefined) {
        if (request.access === "open") return { roles: noRoles, peer: request.peer };
        throw tokenRequired(request, options.tokenFile);
      }
      const shown = /^Bearer +(\S+) *$/i.exec(request.authorization)?.[1];
      if (shown !== undefined && timingSafeEqual(digest(shown), expected))
        return { roles: allRoles, peer: request.peer };
      // A caller who shows a wrong token believes to be someone: saying nothing would hide the mistake.
      throw tokenInvalid(shown === undefined, options.tokenFile);
    },
  };
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

function tokenRequired(request: AccessRequest, tokenFile: string | undefined): HeadroomError {
  return new HeadroomError({
    code: "UNAUTHENTICATED",
    reason: "TOKEN_REQUIRED",
    message: `${request.method} needs the token; ${howToPass(tokenFile)}`,
    ...whereIs(tokenFile),
  });
}

function tokenInvalid(malformed: boolean, tokenFile: string | undefined): HeadroomError {
  const what = malformed
    ? 'the authorization header is not of the form "Bearer TOKEN"'
    : "the token is not the one of this server";
  return new HeadroomError({
    code: "UNAUTHENTICATED",
    reason: "TOKEN_INVALID",
    message: `${what}; ${howToPass(tokenFile)}`,
    ...whereIs(tokenFile),
  });
}

function howToPass(tokenFile: string | undefined): string {
  if (tokenFile === undefined) return 'pass it as -H "authorization: Bearer TOKEN"';
  return `it lies in ${tokenFile} on the server's machine; pass it as -H "authorization: Bearer $(cat ${tokenFile})"`;
}

function whereIs(tokenFile: string | undefined): { metadata?: Record<string, string> } {
  return tokenFile === undefined ? {} : { metadata: { token_file: tokenFile } };
}
