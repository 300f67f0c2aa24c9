/** What an agent says it has: declared, so that figures are exact on a busy machine. */
export interface AgentDeclaration {
  readonly cpuCores: number;
  readonly memoryGb: number;
  /** Cards as model and VRAM in GiB. Default: none. */
  readonly gpus?: readonly { readonly model: string; readonly vramGb: number }[];
  /** Further settings of this agent. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The settings that declare it. */
export function agentEnvironment(declaration: AgentDeclaration): Record<string, string> {
  const gpus = declaration.gpus ?? [];
  return {
    HEADROOM_AGENT_DECLARE_CPU_CORES: String(declaration.cpuCores),
    HEADROOM_AGENT_DECLARE_MEMORY_GB: String(declaration.memoryGb),
    ...(gpus.length > 0 && {
      HEADROOM_AGENT_DECLARE_GPUS: gpus.map(({ model, vramGb }) => `${model}:${vramGb}`).join(","),
    }),
    ...declaration.env,
  };
}
