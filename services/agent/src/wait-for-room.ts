import { isDiskFull, type Logger, type Ports, sleep } from "@headroom/runtime";

const lookEveryMs = 2_000;
/** It is said again after so many looks: once a minute. */
const sayEveryLooks = 30;

export interface WaitForRoomOptions {
  readonly ports: Ports;
  readonly logger: Logger;
  readonly agentDir: string;
  readonly signal: AbortSignal;
}

/**
 * Begins once the disk has room: `begin` is called again while a full disk is what it fails of. A machine that comes up with a full disk is
 * to join by itself when somebody has made room. Everything else that `begin` rejects with goes through.
 */
export async function onceThereIsRoom<T>(begin: () => Promise<T>, options: WaitForRoomOptions): Promise<T> {
  const { ports, logger, agentDir, signal } = options;
  for (let looks = 0; ; looks += 1) {
    try {
      return await begin();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      if (looks % sayEveryLooks === 0)
        logger.error(
          { err: error, agent_dir: agentDir },
          `the disk of ${agentDir} is full: the agent begins when there is room. Make some, or set HEADROOM_DATA_DIR to a folder on another disk`,
        );
    }
    await sleep(ports.timers, lookEveryMs, signal);
  }
}
