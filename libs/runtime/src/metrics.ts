import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry, type MetricObject } from "prom-client";

export type { Counter, Gauge, Histogram } from "prom-client";

export interface MetricsOptions {
  /** CPU, memory, event loop and garbage collection of the process. Default true. */
  readonly processMetrics?: boolean;
}

/**
 * The metrics of one process, in a registry of its own. Asking again for a name gives the same metric; asking for it as another
 * kind throws TypeError. Names end in their unit (`_seconds`, `_bytes`, `_total`); label values come from small closed sets, never ids.
 */
export interface Metrics {
  counter<const L extends string = never>(name: string, help: string, labelNames?: readonly L[]): Counter<L>;
  /** `collect` is called at each scrape and sets the gauge; it must be quick and not throw. */
  gauge<const L extends string = never>(
    name: string,
    help: string,
    labelNames?: readonly L[],
    collect?: (gauge: Gauge<L>) => void | Promise<void>,
  ): Gauge<L>;
  /** `buckets` are upper bounds, ascending; default: 1 ms to 60 s. */
  histogram<const L extends string = never>(
    name: string,
    help: string,
    labelNames?: readonly L[],
    buckets?: readonly number[],
  ): Histogram<L>;
  /** The text that Prometheus scrapes. */
  render(): Promise<{ readonly contentType: string; readonly body: string }>;
  readonly registry: Registry;
}

const durationBucketsSeconds = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;

export function createMetrics(options: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  if (options.processMetrics !== false) collectDefaultMetrics({ register: registry });
  const registers = [registry];

  /** The metric that has this name already, if it is of the kind that is wanted. */
  function known<M>(name: string, isKind: (metric: unknown) => metric is M): M | undefined {
    const metric: unknown = registry.getSingleMetric(name);
    if (metric === undefined || isKind(metric)) return metric;
    throw new TypeError(`the metric ${name} exists already as another kind (${(metric as MetricObject).type})`);
  }

  return {
    registry,
    counter: <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
      known(name, (metric): metric is Counter<L> => metric instanceof Counter) ??
      new Counter<L>({ name, help, labelNames, registers }),
    gauge: <L extends string>(
      name: string,
      help: string,
      labelNames: readonly L[] = [],
      collect?: (gauge: Gauge<L>) => void | Promise<void>,
    ) => {
      const existing = known(name, (metric): metric is Gauge<L> => metric instanceof Gauge);
      if (existing !== undefined || collect === undefined)
        return existing ?? new Gauge<L>({ name, help, labelNames, registers });
      const gauge: Gauge<L> = new Gauge<L>({ name, help, labelNames, registers, collect: () => collect(gauge) });
      return gauge;
    },
    histogram: <L extends string>(
      name: string,
      help: string,
      labelNames: readonly L[] = [],
      buckets: readonly number[] = durationBucketsSeconds,
    ) =>
      known(name, (metric): metric is Histogram<L> => metric instanceof Histogram) ??
      new Histogram<L>({ name, help, labelNames, buckets: [...buckets], registers }),
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}
