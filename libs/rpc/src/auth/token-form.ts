/** What a token may be: whoever shows it writes it into one header, and whoever asks for it must not take it for something else. */
import type { ConfigProblem } from "@headroom/runtime";
import { credentialPrefix, looksLikeCredential } from "./agent-credential.ts";

/** A guessable token protects nothing. */
const shortest = 16;
/** What a header carries as it is, and the server finds again as one word after `Bearer`; REST reads headers up to 16 KiB. */
const wellFormed = /^[!-~]{16,4096}$/;

/** In words. */
export const tokenForm = "16 to 4096 printable ASCII characters without spaces";

/** What keeps a text from being a token, in words that follow its name; null: nothing. */
export function tokenFault(text: string): string | null {
  if (text.length < shortest) return `has fewer than ${shortest} characters`;
  if (looksLikeCredential(text)) return `begins with ${credentialPrefix}, as an agent's credential does`;
  return wellFormed.test(text) ? null : `is no token that callers can show (${tokenForm})`;
}

/** Of a token in the environment; null where it is good, or none is there. */
export function tokenProblem(token: string | null): ConfigProblem | null {
  const fault = token === null ? null : tokenFault(token);
  if (fault === null) return null;
  const example = "write another one, such as the output of openssl rand -hex 32";
  const message = `HEADROOM_TOKEN ${fault}: ${example}`;
  return {
    setting: "token",
    env: "HEADROOM_TOKEN",
    flag: undefined,
    given: null,
    allowed: tokenForm,
    example,
    message,
  };
}
