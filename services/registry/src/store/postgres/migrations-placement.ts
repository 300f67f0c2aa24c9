/** What placement keeps. */
import type { Migration } from "@headroom/postgres";

const taskMixSql = `
CREATE TABLE task_mix (
  cpu_millicores integer NOT NULL CHECK (cpu_millicores >= 0),
  gpu_count      integer NOT NULL CHECK (gpu_count >= 0),
  gpu_vram_mib   integer NOT NULL CHECK (gpu_vram_mib >= 0),
  gpu_exclusive  boolean NOT NULL,
  gpu_models     text[] NOT NULL,
  arrivals       double precision NOT NULL CHECK (arrivals >= 0),
  PRIMARY KEY (cpu_millicores, gpu_count, gpu_vram_mib, gpu_exclusive, gpu_models)
);
COMMENT ON TABLE task_mix IS 'What kinds of tasks arrive, as placement has learned it: at most 512 shapes. All registry processes add to it.';
COMMENT ON COLUMN task_mix.cpu_millicores IS 'What such a task needs: CPU,';
COMMENT ON COLUMN task_mix.gpu_count IS 'cards,';
COMMENT ON COLUMN task_mix.gpu_vram_mib IS 'VRAM on each of them,';
COMMENT ON COLUMN task_mix.gpu_exclusive IS 'whole cards or not,';
COMMENT ON COLUMN task_mix.gpu_models IS 'of one of these models, in order and in lower case; none: any.';
COMMENT ON COLUMN task_mix.arrivals IS 'How many have come, each counting less the more have come since (half after 20,000).';`;

const taskMixTotalSql = `
CREATE TABLE task_mix_total (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  arrivals  bigint NOT NULL CHECK (arrivals >= 0),
  since     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE task_mix_total IS 'One row. Whoever adds to task_mix locks it first, so that processes do so one after the other.';
COMMENT ON COLUMN task_mix_total.singleton IS 'Keeps it one row.';
COMMENT ON COLUMN task_mix_total.arrivals IS 'How many tasks have arrived since then.';
COMMENT ON COLUMN task_mix_total.since IS 'When the first was kept.';`;

export const placementMigrations: readonly Migration[] = [{ name: "0040_task_mix", up: [taskMixSql, taskMixTotalSql] }];
