import type { Migration } from "@headroom/postgres";
import { initial } from "./0001_initial.ts";

/** The schema's whole history, oldest first. */
export const orchestratorMigrations: readonly Migration[] = [initial];
