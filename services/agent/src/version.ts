/** Version of the agent program, as the registry shows it. */
export const agentVersion = "0.1.0";
