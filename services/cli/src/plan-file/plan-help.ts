/** The form of a plan file, for the help of `plan dispatch`; examples/README.md tells more. */
export const planFileHelp = `
A plan file (YAML or JSON) is the WorkPlan of proto/headroom/orchestrator/v1/plan.proto, keys in snake_case:

  name: nightly                       # 1 to 128 characters
  priority: 0                         # -1000..1000; higher waits less; a task may override it
  labels: { team: render }            # for people and programs that read the plan; no effect on where it runs
  namespace: default                  # stored and shown; no effect in this version
  resume_after: 2026-01-31T22:00:00Z  # nothing starts before; a task may override it
  tasks:
    - name: prepare                   # unique in the plan
      task_id: ID                     # a new UUID; left out: one is chosen
      command:
        argv: [node, -e, "console.log('hello')"]   # no shell; the first word is looked up in the agent's PATH
        env: { LEVEL: 3 }             # on top of the agent's environment
        working_dir: ../data          # relative: from the plan file's folder. Left out: a fresh folder, removed afterwards
      needs:                          # left out: 1 CPU core; *_gb are GiB
        cpu_cores: 0.5
        memory_gb: 1
        gpu_count: 1                  # default 1 when gpu_vram_gb, gpu_exclusive or gpu_models is given, else 0
        gpu_vram_gb: 8                # on each card
        gpu_exclusive: false          # true: whole cards; so also when cards are asked for without gpu_vram_gb
        gpu_models: [RTX 4090]
        labels: { room: a }
        pool: default
        agent_id: ID                  # this agent and no other
      depends_on: []                  # names of tasks that must have succeeded
      priority: 5                     # in place of the plan's
      resume_after: 2026-01-31T23:00:00Z  # in place of the plan's
      run_timeout: 1h30m              # durations: 90s, 5m, 2h, 1h30m
      wait_timeout: 12h               # it fails when it has waited so long for room; left out: it waits as long as it takes
      max_attempts: 3
      retry_on_failure: false
      on_unknown_outcome: retry       # or hold: a run whose agent was lost is repeated only when you ask for it
      work_lease: 5m                  # 10s to 24h; a run that the orchestrator has lost touch with is ended after so long
      expected_duration: 10m          # helps to tell when room will be

Repeat with YAML's own means: "command: &work {…}" once, then "command: *work", or "<<: *base".`;
