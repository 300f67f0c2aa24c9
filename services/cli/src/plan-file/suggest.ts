/** Names that people bring from elsewhere, and what they are called here. */
const calledElsewhere: Readonly<Record<string, string>> = {
  after: "depends_on",
  args: "argv",
  cmd: "command",
  cores: "cpu_cores",
  cpu: "cpu_cores",
  cpus: "cpu_cores",
  cwd: "working_dir",
  dependencies: "depends_on",
  dir: "working_dir",
  directory: "working_dir",
  environment: "env",
  gpu: "gpu_count",
  gpus: "gpu_count",
  jobs: "tasks",
  mem: "memory_gb",
  memory: "memory_gb",
  requires: "depends_on",
  resources: "needs",
  retries: "max_attempts",
  run: "argv",
  steps: "tasks",
  timeout: "run_timeout",
  title: "name",
  vram: "gpu_vram_gb",
  vram_gb: "gpu_vram_gb",
  workdir: "working_dir",
};

/** The one of `known` that was probably meant; null when none is near. */
export function nearest(given: string, known: readonly string[]): string | null {
  const plain = given.toLowerCase().replaceAll("-", "_");
  const elsewhere = calledElsewhere[plain];
  if (elsewhere !== undefined && known.includes(elsewhere)) return elsewhere;
  let best: string | null = null;
  // A third of the letters may be wrong, and two that changed places; more is another word.
  let bestDistance = (plain.length < 4 ? 1 : Math.max(2, Math.floor(plain.length / 3))) + 1;
  for (const candidate of known) {
    const distance = editDistance(plain, candidate.replaceAll("-", "_").toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Letters to insert, delete or exchange (Levenshtein). */
export function editDistance(a: string, b: string): number {
  let before = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [row, letter] of Array.from(a).entries()) {
    const line = [row + 1];
    for (let column = 0; column < b.length; column += 1) {
      const exchanged = (before[column] ?? 0) + (b[column] === letter ? 0 : 1);
      line.push(Math.min(exchanged, (before[column + 1] ?? 0) + 1, (line[column] ?? 0) + 1));
    }
    before = line;
  }
  return before[b.length] ?? 0;
}
