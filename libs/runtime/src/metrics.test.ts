import { expect, it } from "vitest";
import { createMetrics } from "./index.ts";

it("renders what was counted, as Prometheus reads it", async () => {
  const metrics = createMetrics({ processMetrics: false });
  metrics.counter("headroom_attempts_total", "Attempts by result", ["result"]).inc({ result: "succeeded" }, 2);
  metrics.gauge("headroom_queue_tasks", "Tasks that wait").set(7);
  let collected = 0;
  metrics.gauge("headroom_oldest_wait_seconds", "Age of the oldest", [], (gauge) => gauge.set(++collected));
  metrics
    .histogram("rpc_server_call_duration_seconds", "Calls", ["rpc_method"])
    .observe({ rpc_method: "GetPlan" }, 0.003);
  const { contentType, body } = await metrics.render();
  expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/);
  for (const line of [
    'headroom_attempts_total{result="succeeded"} 2',
    "headroom_queue_tasks 7",
    "headroom_oldest_wait_seconds 1",
    'rpc_server_call_duration_seconds_bucket{le="0.0025",rpc_method="GetPlan"} 0',
    'rpc_server_call_duration_seconds_bucket{le="0.005",rpc_method="GetPlan"} 1',
  ]) {
    expect(body.split("\n")).toContain(line);
  }
});

it("the same name is the same metric; another kind under it is refused; two registries share nothing", async () => {
  const metrics = createMetrics({ processMetrics: false });
  expect(metrics.counter("a_total", "A")).toBe(metrics.counter("a_total", "A"));
  expect(metrics.gauge("b", "B", [], () => undefined)).toBe(metrics.gauge("b", "B"));
  expect(metrics.histogram("c_seconds", "C")).toBe(metrics.histogram("c_seconds", "C"));
  expect(() => metrics.gauge("a_total", "A")).toThrow("a_total exists already");
  metrics.counter("a_total", "A").inc();
  expect((await createMetrics({ processMetrics: false }).render()).body.trim()).toBe("");
});

it("has the process's own metrics unless told otherwise", async () => {
  expect((await createMetrics().render()).body).toContain("process_cpu_seconds_total");
});
