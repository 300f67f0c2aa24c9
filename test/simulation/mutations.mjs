// Deliberate bugs. Each is put into the bundle of the simulation, never into the sources; the simulation has to find it.
// `from` stands exactly once in `file`.

const reservationRules = "libs/scheduling/src/reservation-rules.ts";
const reservationStep = "libs/scheduling/src/reservation-step.ts";
const capacity = "libs/scheduling/src/capacity.ts";
const decide = "services/orchestrator/src/work/decide-result.ts";
const claim = "services/orchestrator/src/store/postgres/claim.ts";
const brake = "libs/scheduling/src/mass-loss-brake.ts";
const clock = "libs/runtime/src/clock.ts";
const fitColumns = "services/registry/src/fleet/index/fit-columns.ts";
const placer = "services/orchestrator/src/placing/placer.ts";
const watchedAgents = "services/orchestrator/src/fleet-view/watched-agents.ts";

export const mutations = [
  {
    name: "no fence check on reserve",
    file: reservationRules,
    from: `  if (event.fence < reservation.fence) return rejected("STALE_FENCE", reservation);
  if (event.shape !== reservation.shape) return rejected("ALREADY_EXISTS", reservation);
  return takeOrRenew(reservation, event, nowMs);`,
    to: `  return takeOrRenew(reservation, event, nowMs);`,
  },
  {
    name: "no fence check on release",
    file: reservationRules,
    from: `export function release(reservation: Reservation, event: ReleaseEvent, nowMs: EpochMs): ReservationOutcome {
  if (event.fence < reservation.fence) return rejected("STALE_FENCE", reservation);`,
    to: `export function release(reservation: Reservation, event: ReleaseEvent, nowMs: EpochMs): ReservationOutcome {`,
  },
  {
    name: "no fence check on result",
    file: decide,
    from: `if (situation.attemptFence !== result.fence) {`,
    to: `if (situation.attemptFence < 0) {`,
  },
  {
    name: "claim without a lease",
    file: claim,
    from: `                        AND (t.claim_expires_at IS NULL OR t.claim_expires_at <= now())
                      ORDER BY p.rank`,
    to: `                      ORDER BY p.rank`,
    // Whoever lost his claim assigns nothing: without that as well.
    and: {
      file: "services/orchestrator/src/store/postgres/assign.ts",
      from: "AND t.claim_owner = $2 AND t.fence = a.fence AND t.placing_attempt_id = a.attempt_id AND t.state",
      to: "AND $2::uuid IS NOT NULL AND t.state",
    },
  },
  {
    name: "takeover with a new attempt id",
    file: claim,
    from: "coalesce(t.placing_attempt_id, gen_random_uuid())",
    to: "gen_random_uuid()",
  },
  {
    name: "lease compared with the process's clock",
    file: "services/registry/src/reservations/expire.ts",
    from: `{ type: "expire" }, nowMs)`,
    to: `{ type: "expire" }, draft.nowMs)`,
    and: [
      {
        file: "services/registry/src/fleet/store-clock.ts",
        from: "this.#aheadMs = nowMs - this.#clock.monotonic();",
        to: "this.#aheadMs = this.#clock.now() - this.#clock.monotonic() + 0 * nowMs;",
      },
      {
        file: "services/registry/src/store/postgres/leases.ts",
        from: " AND lease_expires_at <= now()",
        to: "",
      },
    ],
  },
  {
    name: "wake-up revision ignored",
    file: "services/orchestrator/src/resume/refusals.ts",
    from: "if (!fleet.roomSince(revision)) return true;",
    to: "if (revision.counter >= 0) return true;",
  },
  {
    name: "two instances' revisions compared as numbers",
    file: "services/orchestrator/src/fleet-view/fleet-view.ts",
    from: "(roomAt.instance !== instance || roomAt.counter > counter)",
    to: "roomAt.counter > counter",
  },
  {
    name: "queue index not updated on cancel",
    file: "services/orchestrator/src/store/postgres/cancel.ts",
    from: `    ending.map((row) => row.task_id),
    "cancelled",
  );`,
    to: `    [],
    "cancelled",
  );`,
  },
  {
    name: "released twice: an old release ends what was reserved anew",
    file: reservationRules,
    from: `  if (event.fence === reservation.fence) return rejected("RESERVATION_ENDED", reservation);
  return event.type === "hold"`,
    to: `  return event.type === "hold"`,
  },
  {
    name: "reservation dropped when its agent is suspect",
    file: "services/registry/src/liveness/liveness.ts",
    from: `      status: outcome.to,
      statusReason: reason,`,
    to: `      status: outcome.to,
      ...(outcome.to === "suspect" && { reservations: Object.getPrototypeOf(agent.reservations).constructor.EMPTY }),
      statusReason: reason,`,
  },
  {
    name: "the list of a Hello is taken for empty",
    file: "services/registry/src/reservations/reconcile.ts",
    from: `  const attempts = agent?.sample?.attempts;`,
    to: `  const attempts = by === "hello" ? [] : agent?.sample?.attempts;`,
  },
  {
    name: "reservation never expires",
    file: reservationRules,
    from: "if (leaseExpiresAtMs !== null && nowMs < leaseExpiresAtMs) return",
    to: "if (leaseExpiresAtMs !== null) return",
  },
  {
    name: "what an agent no longer lists is kept",
    file: reservationStep,
    from: `    sampled: rules.confirm,
    omitted: rules.endOmitted,`,
    to: `    sampled: rules.confirm,
    omitted: rules.keep,`,
  },
  {
    name: "foreign use from half a sample",
    file: capacity,
    from: "Math.min(total, Math.max(0, total - available - used))",
    to: "Math.min(total, Math.max(0, total - available))",
  },
  {
    name: "foreign use ignored",
    file: capacity,
    from: "Math.min(total, Math.max(0, total - available - used))",
    to: "Math.min(0, total - available - used)",
  },
  {
    name: "used and reserved added",
    file: capacity,
    from: "taken.held += Math.max(reserved, used)",
    to: "taken.held += reserved + used",
  },
  {
    // A machine's VRAM as one pool, of which each card has all.
    name: "cards summed instead of apart",
    file: capacity,
    from: "const cards = sample.cards.map((card) => cardRoom(card, takenById.get(card.cardId) ?? nothingTaken(), memory.free));",
    to: `const apart = sample.cards.map((card) => cardRoom(card, takenById.get(card.cardId) ?? nothingTaken(), memory.free));
  const pool = apart.reduce((sum, { free }) => sum + free, 0);
  const cards = apart.map((card) => ({ ...card, free: pool }));`,
    and: [
      {
        file: capacity,
        from: "const cards = room.cards.map((card) => cardAfter(card, reserved, memory.free));",
        to: `const apart = room.cards.map((card) => cardAfter(card, reserved, memory.free));
  const pool = apart.reduce((sum, { free }) => sum + free, 0);
  const cards = apart.map((card) => ({ ...card, free: pool }));`,
      },
    ],
  },
  {
    name: "reservations on the first card not counted",
    file: capacity,
    from: "new Map(cards.map((card) => [card.cardId, nothingTaken()]))",
    to: "new Map(cards.filter(({ index }) => index > 0).map((card) => [card.cardId, nothingTaken()]))",
  },
  {
    name: "the end of an old stream marks the new session offline",
    file: "services/registry/src/heartbeat/session.ts",
    from: "if (!spoke || agentId === null || fleet.get(agentId)?.epoch !== this.#epoch) return;",
    to: `if (agentId === null) return;
    if (!spoke) {
      liveness.apply(agentId, "goodbye", "late");
      return;
    }`,
  },
  {
    name: "LOST before the lease ends",
    file: "services/orchestrator/src/lost/sweep.ts",
    from: "export const lostGraceMs = 30_000;",
    to: "export const lostGraceMs = -5_000;",
  },
  {
    name: "an agent goes on after its lease",
    file: "services/agent/src/work/lease.ts",
    from: `return slept ? "freeze" : "end";`,
    to: `return slept ? "freeze" : "goes_on";`,
  },
  {
    name: "a copied machine takes the work stream",
    file: "services/agent/src/work/attach.ts",
    from: "      await options.admission.whenAdmitted(signal);\n",
    to: "",
    and: {
      file: "services/agent/src/work/attach.ts",
      from: "endedBy(signal, refused)",
      to: "endedBy(signal)",
    },
  },
  {
    name: "unattached agent admitted",
    file: "libs/scheduling/src/fit-agent.ts",
    from: `if (view.status === "online" && !view.attached && options.requireAttached !== false) {`,
    to: `if (view.hostname === "never") {`,
    and: [
      {
        file: watchedAgents,
        from: `agent.status === "online" && agent.attached && !isKept`,
        to: `agent.status === "online" && !isKept`,
      },
      {
        file: fitColumns,
        from: `    online: status === "online",\n    attached,`,
        to: `    online: status === "online",\n    attached: true,`,
      },
      {
        file: "services/registry/src/fleet/index/capacity-index.ts",
        from: "if (requireAttached) keepCommon(this.#scratch, this.#attached);",
        to: "",
      },
    ],
  },
  {
    name: "offline agents are given work",
    file: "libs/scheduling/src/fit-agent.ts",
    from: `if (view.status !== "online") misses.push(miss("not_online", { detail: view.status }));`,
    to: "",
    and: [
      { file: watchedAgents, from: `agent.status === "online" && agent.attached && !isKept`, to: `!isKept` },
      {
        file: fitColumns,
        from: `    online: status === "online",\n    attached,`,
        to: `    online: true,\n    attached: attached || status !== "online",`,
      },
      {
        file: "libs/scheduling/src/available.ts",
        from: `agentType === "desktop" && status === "online" && !isKept`,
        to: `agentType === "desktop" && status !== "unknown" && !isKept`,
      },
    ],
  },
  {
    name: "result of a superseded attempt counted",
    file: decide,
    from: `if (step.reason === "SUPERSEDED") return refused(\`the attempt was given up before (\${situation.attemptState})\`);
      return { kind: "repeat" };
    }
    if (situation.superseded) return refused("another attempt of the task is in force");`,
    to: `if (step.reason !== "SUPERSEDED") return { kind: "repeat" };
    }
    if (step.kind === "rejected") return { kind: "final", attemptState: "succeeded", taskState: "succeeded", eventKind: "TASK_SUCCEEDED", sentence: "" };`,
  },
  {
    name: "pause row and task state in two transactions",
    file: "services/orchestrator/src/store/postgres/park.ts",
    from: `    await insertPauses(
      tx,
      fresh.map(`,
    to: `    const later = fresh;
    void db.transaction((other) => insertPauses(other, later.map(({ claimed, reason, sentence }) => ({ taskId: claimed.taskId, reason, sentence, blocked: false })))).catch(() => undefined);
    await insertPauses(
      tx,
      [].map(`,
  },
  {
    name: "resume_after ignored",
    file: "services/orchestrator/src/store/postgres/heads.ts",
    from: "AND later AND resume_after <= now()",
    to: "AND later",
  },
  {
    name: "retry after cancel",
    file: "libs/scheduling/src/task-state.ts",
    from: `if (next.kind === "moved" && cancelRequested && wouldQueue) return { ...next, to: "cancelled" };`,
    to: "",
  },
  {
    name: "kept room is never given back",
    file: "services/orchestrator/src/store/postgres/room-holds.ts",
    from: `     WHERE h.expires_at + 3 * (h.expires_at - h.granted_at) <= now()
        OR (h.expires_at > now() AND h.agent_id = ANY ($1::uuid[]))
        OR NOT EXISTS (SELECT 1 FROM pause_queue q WHERE q.task_id = h.task_id AND q.status = 'waiting' AND NOT q.blocked)`,
    to: `     WHERE false AND h.agent_id = ANY ($1::uuid[])`,
    and: {
      file: "services/orchestrator/src/placing/kept-room.ts",
      from: "leftMs: hold.leftMs - agoMs,",
      to: "leftMs: 3_600_000,",
    },
  },
  {
    name: "a late Hello is let in",
    file: "services/registry/src/store/postgres/admit.ts",
    from: "AND given.session > 0 AND held.session > given.session\n",
    to: "AND false\n",
    and: {
      file: "services/registry/src/store/postgres/admit.ts",
      from: "excluded.session = 0 OR l.session <= excluded.session\n",
      to: "true\n",
    },
  },
  {
    name: "brake never starts",
    file: brake,
    from: "if (!isBegun || !isMassLoss(input)) return",
    to: "if (!isBegun || !isMassLoss(input) || nowMs > 0) return",
  },
  {
    name: "brake never ends",
    file: brake,
    from: "if (input.confirmed || nowMs >= endsAtMs) return",
    to: "if (input.confirmed) return",
  },
  {
    name: "suspended time not counted",
    file: clock,
    from: "if (gainedMs > suspendedMs + noiseMs) suspendedMs = gainedMs;",
    to: "",
    and: { file: clock, from: "return gapMs >= shortestSuspendMs ? gapMs : 0;", to: "return 0;" },
  },
  {
    name: "gate judged on offline agents",
    file: "libs/scheduling/src/gate-sums.ts",
    from: "    if (!online) return;\n",
    to: "",
  },
  {
    name: "NOTIFY before commit",
    file: placer,
    from: "    const assigned = await store.assign(group, owner, cause.actor, cause.call);",
    to: `    options.deliverer.deliver(group.filter(({ agentId }) => !options.deliverer.holds(agentId)));
    const assigned = await store.assign(group, owner, cause.actor, cause.call);`,
    and: {
      file: placer,
      from: "  deliverer.deliver(assigned);\n",
      to: "  deliverer.deliver(assigned.filter(({ agentId }) => deliverer.holds(agentId)));\n",
    },
  },
  {
    name: "result acknowledged before it is committed",
    file: "services/orchestrator/src/work/agent-messages.ts",
    from: "const decide = decideResult(result, options.ports.random.next());",
    to: `session.send(finishedAckMessage(result.attemptId, false));
  const decide = decideResult(result, options.ports.random.next());`,
  },
  {
    name: "room promised before it is committed",
    file: "services/registry/src/reservations/desk.ts",
    from: "const outcome = commit === null ? null : await store.commitReservations(commit);",
    to: `const later = (late) => late.kind === "committed" && this.#apply(commit, late, askedAtMs);
      if (commit !== null) store.commitReservations(commit).then(later, () => undefined);
      const outcome = null;`,
  },
  {
    name: "who follows a plan is not told what happened while it asked",
    file: "services/orchestrator/src/rpc/watch-plan.ts",
    from: "if (hasEnded(plan)) return;",
    to: `const now = await store.getPlan(planId);
        if (now === null || hasEnded(now)) return;`,
  },
  {
    name: "an agent takes more than its machine has",
    file: "services/agent/src/work/decide-assignment.ts",
    from: `  if (context.isOverfull) return refuse("NO_ROOM");`,
    to: "",
    // Its own look is the last of several: what was given out is sent again for a minute only, in which its promise holds most of the time.
    and: {
      file: "services/orchestrator/src/work/resending.ts",
      from: "export const resendWithinMs = 60_000;",
      to: "export const resendWithinMs = 600_000;",
    },
  },
  {
    name: "success told as failure",
    file: decide,
    from: `const succeeded = result.outcome === "exited" && result.exitCode === 0;`,
    to: `const succeeded = result.outcome === "exited" && result.exitCode === -1;`,
  },
  {
    name: "a run that was lost is the last",
    file: decide,
    from: `if (situation.runsUsed >= situation.maxAttempts && !situation.cancelRequested) {`,
    to: `if (!situation.cancelRequested) {`,
  },
  {
    name: "request_id not kept",
    file: "services/orchestrator/src/store/postgres/insert-plans.ts",
    from: "request_id: plan.requestId,",
    to: "request_id: null,",
  },
  {
    name: "given out before all that it depends on",
    file: "services/orchestrator/src/store/postgres/dependents.ts",
    from: "t.task_id = dependent.task_id AND t.depends_remaining = 0 OFFSET 0",
    to: "t.task_id = dependent.task_id OFFSET 0",
  },
  {
    name: "CancelPlan answered before it is written",
    file: "services/orchestrator/src/rpc/cancel-plan.ts",
    from: `const outcome = await deps.store.cancelPlan(planId, request.reason, "planner", callOf(context));`,
    to: `deps.store.cancelPlan(planId, request.reason, "planner", callOf(context)).catch(() => undefined);
    const outcome = { cancelledTasks: 0, running: [], takenBack: [] };`,
  },
  {
    name: "a cancellation is told to no agent",
    file: "services/orchestrator/src/work/session.ts",
    from: "this.send(cancelMessage(attempt, reason));",
    to: "void cancelMessage(attempt, reason);",
  },
  {
    name: "a copied machine is let in",
    file: "services/registry/src/heartbeat/session.ts",
    from: "    this.#refuseClone(hello);\n",
    to: "",
    and: [
      {
        file: "services/registry/src/store/postgres/admit.ts",
        from: "AND held.incarnation <> given.incarnation AND held.replica_id <> given.replica_id)",
        to: "AND held.incarnation <> given.incarnation AND held.replica_id <> given.replica_id AND false)",
      },
      {
        file: "services/registry/src/store/postgres/admit.ts",
        from: "WHERE (l.status <> 'online' OR",
        to: "WHERE (true OR l.status <> 'online' OR",
      },
    ],
  },
  {
    name: "probation ignored",
    file: "services/registry/src/fleet/agent-views.ts",
    from: "const onProbation = agent.flapping.probationUntilMs !== null;",
    to: "const onProbation = false;",
  },
  {
    name: "gate judges cards by CPU alone",
    file: "libs/scheduling/src/gate-sums.ts",
    from: "if (isBelowCpu || isBelowGpu) this.#below.gpu += sign;",
    to: "if (isBelowCpu || (vram === null && isBelowGpu)) this.#below.gpu += sign;",
  },
  {
    name: "a silent agent stays online",
    file: "services/registry/src/liveness/sweep.ts",
    from: `if (verdict === "ttl_missed") {`,
    to: `if (verdict === "ttl_missed" && pulse.intervalMs === -1) {`,
  },
  {
    name: "what is tried again stays as it is",
    file: "services/orchestrator/src/store/postgres/retry-plan.ts",
    from: "if (retried.length > 0) await bringAllBack",
    to: 'if (retried.length > 0 && planId === "") await bringAllBack',
  },
  {
    name: "the deadline of a drain ends nothing",
    file: "services/agent/src/work/supervisor.ts",
    from: `this.#end(attempt, "evicted", "the agent is being drained, and the drain's deadline has passed", defaultGraceMs);`,
    to: "",
  },
  {
    name: "labels ignored",
    file: "libs/scheduling/src/fit-agent.ts",
    from: "filter(([key, value]) => view.labels[key] !== value)",
    to: "filter(([key, value]) => view.labels[key] !== value && key === value)",
  },
  {
    name: "wait_timeout counts the wait for a dependency",
    file: "services/orchestrator/src/store/postgres/dependents.ts",
    from: "THEN greatest(clock_timestamp(), q.resume_after) + released.wait_timeout_ms",
    to: "THEN q.paused_at + released.wait_timeout_ms",
  },
  {
    name: "what waits is claimed in any order",
    file: "services/orchestrator/src/store/postgres/claim.ts",
    from: "ORDER BY p.rank, p.pause_queue_id\n                      LIMIT ${mostOfShape}",
    to: "ORDER BY p.pause_queue_id\n                      LIMIT ${mostOfShape}",
  },
  {
    name: "the end of an attempt is told of none",
    file: "services/orchestrator/src/store/postgres/report-draft.ts",
    from: "toState: verdict.taskState,\n          sentence: verdict.sentence,",
    to: "toState: verdict.taskState,\n          attemptId: undefined,\n          sentence: verdict.sentence,",
  },
];
