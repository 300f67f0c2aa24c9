/** What enrolment keeps. */
import type { Migration } from "@headroom/postgres";

const joinTokensSql = `
CREATE TABLE join_tokens (
  token_id   uuid PRIMARY KEY,
  token_hash bytea NOT NULL UNIQUE,
  request_id uuid UNIQUE,
  pool_name  text NOT NULL,
  agent_type text NOT NULL CHECK (agent_type IN ('desktop', 'infra', 'code', 'research')),
  max_uses   integer NOT NULL CHECK (max_uses > 0),
  uses       integer NOT NULL DEFAULT 0 CHECK (uses BETWEEN 0 AND max_uses),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz
);
COMMENT ON TABLE join_tokens IS 'With what agents on other machines may join. Rows stay for 30 days after their end, for people.';
COMMENT ON COLUMN join_tokens.token_id IS 'Names the token; says nothing of it.';
COMMENT ON COLUMN join_tokens.token_hash IS 'SHA-256 of the token. The token itself is kept nowhere.';
COMMENT ON COLUMN join_tokens.request_id IS 'Of the call that made it: asked again, it makes no second one. Null: the call had none.';
COMMENT ON COLUMN join_tokens.pool_name IS 'Pool that agents join with it.';
COMMENT ON COLUMN join_tokens.agent_type IS 'What the agents are for.';
COMMENT ON COLUMN join_tokens.max_uses IS 'How many agents can join with it.';
COMMENT ON COLUMN join_tokens.uses IS 'How many have.';
COMMENT ON COLUMN join_tokens.created_at IS 'When it was made.';
COMMENT ON COLUMN join_tokens.expires_at IS 'When it ends.';
COMMENT ON COLUMN join_tokens.revoked_at IS 'When an operator ended it; null: none did.';`;

// The agent's row in agents comes with its first Hello, so nothing refers to it; nor to the token, which is deleted one day.
const credentialsSql = `
CREATE TABLE agent_credentials (
  agent_id      uuid PRIMARY KEY,
  credential_id uuid NOT NULL UNIQUE,
  request_id    uuid,
  token_id      uuid NOT NULL,
  pool_name     text NOT NULL,
  agent_type    text NOT NULL,
  enrolled_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE agent_credentials IS 'Which credential of an agent is good. A credential proves by itself who it is of; a Hello with one that is not named here is refused.';
COMMENT ON COLUMN agent_credentials.agent_id IS 'The one agent that the credential speaks for.';
COMMENT ON COLUMN agent_credentials.credential_id IS 'Names the credential; the credential itself is kept by the agent alone.';
COMMENT ON COLUMN agent_credentials.request_id IS 'Of the call that enrolled it: asked again, it is answered the same. Null: the call had none.';
COMMENT ON COLUMN agent_credentials.token_id IS 'The join token that it joined with.';
COMMENT ON COLUMN agent_credentials.pool_name IS 'The pool that it may join.';
COMMENT ON COLUMN agent_credentials.agent_type IS 'What it may be.';
COMMENT ON COLUMN agent_credentials.enrolled_at IS 'When it joined.';`;

export const enrolmentMigrations: readonly Migration[] = [
  { name: "0030_enrolment", up: [joinTokensSql, credentialsSql] },
];
