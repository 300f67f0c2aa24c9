/** What the store keeps of join tokens and agents' credentials. Neither can be read back from it: of a token it has the hash. */
import type { AgentType, EpochMs } from "@headroom/scheduling";

/** What a join token, and every credential that it was exchanged for, is good for. */
export interface EnrolmentScope {
  readonly poolName: string;
  readonly agentType: AgentType;
}

export interface JoinToken extends EnrolmentScope {
  readonly tokenId: string;
  readonly maxUses: number;
  readonly uses: number;
  readonly createdAtMs: EpochMs;
  readonly expiresAtMs: EpochMs;
  /** Null as long as no operator has ended it. */
  readonly revokedAtMs: EpochMs | null;
  /** An agent can still join with it, by the store's clock. */
  readonly isUsable: boolean;
}

export interface NewJoinToken extends EnrolmentScope {
  readonly tokenId: string;
  readonly tokenHash: Buffer;
  /** The same id again makes no second token; null: it is not asked again. */
  readonly requestId: string | null;
  readonly maxUses: number;
  /** From the store's now on. */
  readonly ttlMs: number;
}

/** An agent that wants to join. */
export interface Enrolment extends EnrolmentScope {
  readonly tokenHash: Buffer;
  readonly agentId: string;
  /** The same id again is answered with the same credential; null: it is not asked again. */
  readonly requestId: string | null;
  /** Name of the credential, if there is none yet. */
  readonly credentialId: string;
}

export type EnrolmentOutcome =
  | { readonly kind: "enrolled"; readonly tokenId: string; readonly credentialId: string; readonly isRepeated: boolean }
  | { readonly kind: "unknown_token" }
  | { readonly kind: "revoked" | "expired" | "used_up" | "other_scope"; readonly token: JoinToken }
  /** The id belongs to the fleet already. */
  | { readonly kind: "already_known" };

export interface EnrolmentStore {
  /** Answers the token as it stands; with a request id that was used before, the one that was made then. */
  createJoinToken(token: NewJoinToken): Promise<JoinToken>;
  /** The newest first. Those that ended more than 30 days ago are gone. */
  listJoinTokens(): Promise<readonly JoinToken[]>;
  /** Answers whether there is such a token. */
  revokeJoinToken(tokenId: string): Promise<boolean>;
  /** Counts one use and notes the credential, or does neither. */
  enrolAgent(enrolment: Enrolment): Promise<EnrolmentOutcome>;
}
