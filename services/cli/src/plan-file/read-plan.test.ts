import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { parseDuration } from "./duration.ts";
import { type PlanRead, readPlan } from "./read-plan.ts";
import { nearest } from "./suggest.ts";

const read = (text: string): PlanRead => readPlan({ name: "plan.yaml", text, baseDir: "/plans" });

function problemsOf(text: string): string[] {
  const result = read(text);
  if (result.kind === "ok") throw new Error(`accepted: ${JSON.stringify(wire.WorkPlan.create(result.plan))}`);
  return result.problems.map(({ line, message }) => `${line}: ${message}`);
}

function planOf(text: string): wire.WorkPlan {
  const result = read(text);
  if (result.kind === "invalid") throw new Error(JSON.stringify(result.problems));
  return result.plan;
}

const minimal = "name: a\ntasks:\n  - name: t\n    command: { argv: [node] }\n";

describe("a plan file", () => {
  it("is one plan: a second document is refused where it begins", () => {
    expect(problemsOf(`${minimal}---\n${minimal}`)).toEqual([
      "5: a file holds one plan: what follows this `---` belongs in a file of its own",
    ]);
  });

  it("reads every part of a plan", () => {
    const plan = planOf(`
name: nightly
priority: -5
labels: { team: a, number: 7 }
resume_after: 2026-01-31T14:00:00+02:00
tasks:
  - name: first
    command: &work
      argv: [node, -e, "1", 2, 1.0, true]
      env: { LEVEL: 3, EMPTY: "" }
      working_dir: ../data
    needs: { cpu_cores: 0.5, memory_gb: 2, gpu_count: 1, gpu_vram_gb: 8, gpu_exclusive: false, gpu_models: [A], labels: {r: 1}, pool: p }
    run_timeout: 1h30m
    expected_duration: 500ms
    max_attempts: 2
    retry_on_failure: true
  - name: second
    command: *work
    depends_on: [first]
    priority: 3
`);
    const [first, second] = plan.tasks;
    expect(plan).toMatchObject({ name: "nightly", priority: -5, labels: { team: "a", number: "7" } });
    expect(plan.resumeAfter?.seconds).toBe(Date.parse("2026-01-31T12:00:00Z") / 1_000);
    expect(first?.command).toEqual({
      argv: ["node", "-e", "1", "2", "1.0", "true"],
      env: { LEVEL: "3", EMPTY: "" },
      workingDir: "/data",
    });
    expect(first).toMatchObject({ runTimeout: { seconds: 5_400 }, maxAttempts: 2, retryOnFailure: true });
    expect(first?.expectedDuration).toEqual({ seconds: 0, nanos: 500_000_000 });
    expect(first?.needs).toMatchObject({ cpuCores: 0.5, gpuVramGb: 8, gpuExclusive: false, labels: { r: "1" } });
    expect(second).toMatchObject({ dependsOn: ["first"], priority: 3, command: first?.command });
    expect(second?.needs).toBeUndefined();
  });

  it.each(["/srv", String.raw`C:\data`, "c:/data", String.raw`\\server\share`])(
    "leaves the folder %s of an agent as it is",
    (folder) => {
      const [task] = planOf(minimal.replace("argv", `working_dir: '${folder}', argv`)).tasks;
      expect(task?.command?.workingDir).toBe(folder);
    },
  );

  it("reads JSON, merge keys and a byte order mark", () => {
    expect(planOf('{"name":"a","tasks":[{"name":"t","command":{"argv":["x"]}}]}').tasks).toHaveLength(1);
    expect(planOf(`\uFEFF${minimal}`).name).toBe("a");
    const merged = planOf(
      "name: a\ntasks:\n  - &base\n    name: one\n    max_attempts: 7\n    command: { argv: [x] }\n  - <<: *base\n    name: two\n",
    );
    expect(merged.tasks[1]).toMatchObject({ name: "two", maxAttempts: 7, command: { argv: ["x"] } });
  });

  it.each([
    ["", ["1: the file is empty: a plan has at least a name and tasks"]],
    [minimal.replace("argv", "arvg"), ['4: tasks[0].command has no key "arvg"; did you mean argv?']],
    [`${minimal}    timeout: 5m\n`, ['5: tasks[0] has no key "timeout"; did you mean run_timeout?']],
    [`${minimal}    argv: [x]\n`, ['5: tasks[0] has no key "argv": it belongs under command:']],
    [
      `${minimal}    run_timeout: 90\n`,
      ['5: tasks[0].run_timeout: "90" has no unit: write 90s for seconds (such as 90s, 5m, 2h or 1h30m)'],
    ],
    [
      `${minimal}    run_timeout: soon\n`,
      ['5: tasks[0].run_timeout: "soon" is no duration (such as 90s, 5m, 2h or 1h30m)'],
    ],
    [
      `${minimal}    needs: { memory_gb: 4GB }\n`,
      ['5: tasks[0].needs.memory_gb: must be a number, not "4GB": write 4'],
    ],
    [`${minimal}    max_attempts: 1.5\n`, ['5: tasks[0].max_attempts: must be a whole number, not "1.5"']],
    [`${minimal}    depends_on: other\n`, ["5: tasks[0].depends_on must be a list: write [other]"]],
    [`${minimal}    retry_on_failure: maybe\n`, ["5: tasks[0].retry_on_failure: must be true or false"]],
    [`${minimal}    command: { argv: [x] }\n`, ["5: Map keys must be unique"]],
    [
      `${minimal}resume_after: tomorrow\n`,
      [
        '5: resume_after: "tomorrow" is no time with its zone, such as 2026-01-31T12:00:00Z or 2026-01-31T14:00:00+02:00',
      ],
    ],
    [
      `${minimal}resume_after: 2026-02-30T12:00:00Z\n`,
      ['5: resume_after: "2026-02-30T12:00:00Z" names no day: that month has no day 30'],
    ],
  ])("says what is wrong, and in which line: %j", (text, problems) => {
    expect(problemsOf(text)).toEqual(problems);
  });

  it("names every problem at once, in the order of the file", () => {
    const problems = problemsOf("nam: a\ntasks:\n  - nme: t\n    needs: { cpu: 1 }\n");
    expect(problems.map((problem) => problem.split(":")[0])).toEqual(["1", "3", "4"]);
  });

  it("points at the line of a YAML mistake", () => {
    expect(problemsOf("name: a\ntasks: [\n  unclosed")[0]).toMatch(/^[23]: /);
    expect(problemsOf("name: 'a")[0]).toMatch(/^1: /);
    expect(problemsOf("just words")[0]).toMatch(/^1: the file must be made of/);
    expect(problemsOf("name: a\ntasks: *nothing\n")[0]).toMatch(/^2: /);
  });

  it("tells the line of a field that the service refuses", () => {
    const result = read(`${minimal}    needs:\n      cpu_cores: -1\n`);
    if (result.kind === "invalid") throw new Error("not read");
    expect(result.lineOf("plan.tasks[0].needs.cpu_cores")).toBe(6);
    expect(result.lineOf("plan.tasks[0].depends_on[0]")).toBe(3);
    expect(result.lineOf("plan.tasks[7].name")).toBe(3);
    expect(result.lineOf("request_id")).toBe(1);
  });
});

describe("durations", () => {
  it.each([
    ["90s", 90_000],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    ["250ms", 250],
    ["1d 2h", 93_600_000],
    ["90", null],
    ["", null],
    ["-5s", null],
    ["5 parsecs", null],
    ["NaNs", null],
  ])("%j is %j ms", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });
});

describe("the nearest key", () => {
  it("finds what was meant, and nothing for another word", () => {
    const keys = ["name", "command", "depends_on", "run_timeout"];
    expect(nearest("depend_on", keys)).toBe("depends_on");
    expect(nearest("depends-on", keys)).toBe("depends_on");
    expect(nearest("timeout", keys)).toBe("run_timeout");
    expect(nearest("colour", keys)).toBeNull();
  });
});
