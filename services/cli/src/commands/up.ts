import { createDeferred, defaultDataDir, type Deferred, signalEchoMs } from "@headroom/runtime";
import { renderError } from "../errors/render.ts";
import type { CliIo } from "../io.ts";
import { paintFor } from "../output/colour.ts";
import { renderBanner } from "../up/banner.ts";
import { unknownSettings } from "../unknown-settings.ts";
import { readUpSettings, type UpSettings } from "../up/settings.ts";
import { type Up, UpSupervisor } from "../up/up.ts";

/** `headroom up`: everything on this machine, until a signal. Answers the exit code. */
export async function runUp(io: CliIo, flags: Readonly<Record<string, unknown>>, asJson: boolean): Promise<number> {
  const startedAtMs = io.ports.clock.monotonic();
  const settings = await readUpSettings(io.env, flags);
  const say = (line: string): void => io.stderr.write(`${line}\n`);
  // `headroom up | head` must not leave PostgreSQL behind; what is said stands in its log too.
  io.outliveReaders();
  if (settings.warning !== null) say(`headroom: ${settings.warning}`);
  for (const line of unknownSettings(io.env)) say(`headroom: ${line}`);
  const ending = createDeferred<number>();
  const up = new UpSupervisor({
    settings,
    ports: io.ports,
    say,
    onFatal(error) {
      say(renderError(error).trimEnd());
      ending.resolve(1);
    },
  });
  const signals = listenForSignals(io, up, ending, say);
  try {
    const begun = up.start();
    const first = await Promise.race([begun, ending.promise]);
    if (typeof first === "number") {
      // The start ends by itself when its children do; its error says nothing new.
      begun.catch(() => undefined);
      await up.stop();
      return first;
    }
    await tellStarted(io, settings, first, io.ports.clock.monotonic() - startedAtMs, asJson);
    const code = await ending.promise;
    await up.stop();
    say("headroom: stopped; the data stays for the next start");
    return code;
  } catch (error) {
    await up.stop();
    throw error;
  } finally {
    signals.close();
  }
}

async function tellStarted(io: CliIo, settings: UpSettings, up: Up, tookMs: number, asJson: boolean): Promise<void> {
  const { paths, tokenFile, entry } = settings;
  if (asJson) {
    const facts = {
      registry: { grpc: up.addresses.registryGrpc, http: up.addresses.registryHttp },
      orchestrator: { grpc: up.addresses.orchestratorGrpc, http: up.addresses.orchestratorHttp },
      database_url: up.embeddedUrl,
      agent_id: up.agentId,
      data_dir: paths.dataDir,
      token_file: tokenFile,
      logs_dir: paths.logsDir,
      pid: process.pid,
    };
    io.stdout.write(`${JSON.stringify(facts)}\n`);
    return;
  }
  const banner = renderBanner(
    {
      ...up.addresses,
      restScheme: settings.restScheme,
      databaseUrl: up.embeddedUrl,
      agentId: up.agentId,
      agent: await up.machine(),
      dataDir: paths.dataDir,
      isDefaultDataDir: paths.dataDir === defaultDataDir({ ...io.env, HEADROOM_DATA_DIR: undefined }),
      tokenFile,
      logsDir: paths.logsDir,
      tookMs,
      entry,
      cwd: io.cwd,
    },
    paintFor(io.stdout, io.env),
  );
  io.stdout.write(banner);
}

function listenForSignals(
  io: CliIo,
  up: UpSupervisor,
  ending: Deferred<number>,
  say: (line: string) => void,
): { close(): void } {
  let firstAtMs: number | null = null;
  const onSignal = (): void => {
    const now = io.ports.clock.monotonic();
    if (firstAtMs === null) {
      firstAtMs = now;
      say("\nheadroom: stopping; once more stops at once");
      ending.resolve(0);
    } else if (now - firstAtMs > signalEchoMs) {
      say("headroom: stopping at once");
      up.kill();
    }
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, onSignal);
  return {
    close() {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}
