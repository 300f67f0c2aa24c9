// A program that has come to its end while a reading of its hangs.
import { endProcess } from "@headroom/runtime";
import { readAside } from "./read-aside.ts";

void readAside(process.argv[2] ?? "").catch(() => undefined);
setTimeout(() => void endProcess(0), 100);
