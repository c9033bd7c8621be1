import type { CashLine, LatencyChart, MemoryChart, SweepAnswer } from "../types";
import { byQuantity, gib, qps, share, time, usd, usdShort } from "../units";
import { Chart, type Level, type Marker } from "./Chart";

const SERIES = ["series-1", "series-2", "series-3", "series-4", "series-5", "series-6", "series-7"];

/** Cost over a swept input, with the present value and the places where the choice changes. */
export function CostChart({ sweep, here }: { sweep: SweepAnswer; here: number | null }) {
  const { axis, points, flips } = sweep;
  const write = (v: number) => byQuantity(axis.quantity, v);
  const markers: Marker[] = here === null ? [] : [{ x: here, label: "now", colour: "accent" }];
  const changes = flips.length ? `The choice changes ${flips.length === 1 ? "once" : `${flips.length} times`}.` : "One choice throughout.";
  return (
    <Chart
      title={`Cost against ${axis.title.toLowerCase()}`}
      description={`${changes} ${points.map((p) => `${write(p.value)}: ${p.usd_per_hour === null ? "not feasible" : `${usd(p.usd_per_hour)} per hour`}`).join("; ")}`}
      x={points.map((p) => p.value)}
      lines={[{ label: "USD per hour", values: points.map((p) => p.usd_per_hour), colour: "series-1", points: true }]}
      markers={[...markers, ...flips.map((f) => ({ x: (f.low + f.high) / 2, label: "", colour: "warn" }))]}
      xLabel={axis.title}
      xText={write}
      yText={usdShort}
      note={flips.length ? `Dashed lines: the choice of GPUs or layout changes. Closed form.` : "Closed form."}
    />
  );
}

/** TTFT and TPOT p99 of one replica over its rate, with operating point, capacity, targets and error band. */
export function LatencyView({ chart }: { chart: LatencyChart }) {
  const bands = (["ttft_p99_s", "tpot_p99_s"] as const).flatMap((key, i) => {
    const band = chart.band[key];
    return band ? [{ ...band, colour: SERIES[i] ?? "series-1" }] : [];
  });
  const levels: Level[] = Object.entries(chart.targets_s).map(([key, y]) => ({
    y,
    label: `${key.slice(0, 4).toUpperCase()} target`,
    colour: key.startsWith("ttft") ? "series-1" : "series-2",
  }));
  const level = chart.band_level === null || !bands.length ? "" : ` Band: ${share(chart.band_level)} error interval of the model, queue included; no band where a slow replica may not keep up.`;
  return (
    <Chart
      title={`Latency against load: ${chart.layout}`}
      description={`One replica of ${chart.service} runs at ${qps(chart.operating_qps)} of the ${qps(chart.capacity_qps)} it holds.`}
      x={chart.rates_qps}
      lines={[
        { label: "TTFT p99", values: chart.ttft_p99_s, colour: "series-1" },
        { label: "TPOT p99", values: chart.tpot_p99_s, colour: "series-2" },
      ]}
      bands={bands}
      levels={levels}
      markers={[
        { x: chart.operating_qps, label: "operating point", colour: "accent" },
        { x: chart.capacity_qps, label: "capacity", colour: "warn" },
      ]}
      logY
      xLabel="requests per second at one replica"
      xText={(v) => qps(v).replace(" req/s", "")}
      yText={time}
      note={`Closed form.${level}`}
    />
  );
}

/** What each way to pay has cost by the end of each month. */
export function CashChart({ cash }: { cash: CashLine[] }) {
  const months = Math.max(...cash.map((c) => c.paid_usd.length));
  return (
    <Chart
      title="Paid by month"
      description={cash.map((c) => `${c.way}: ${usd(c.paid_usd.at(-1) ?? 0)} after ${c.paid_usd.length - 1} months`).join("; ")}
      x={Array.from({ length: months }, (_, i) => i)}
      lines={cash.slice(0, SERIES.length).map((c, i) => ({
        label: c.planned ? `${c.way} (planned)` : c.way,
        values: Array.from({ length: months }, (_, m) => c.paid_usd[m] ?? null),
        colour: SERIES[i] ?? "series-1",
        thin: !c.planned,
      }))}
      xLabel="months from now"
      xText={(v) => String(Math.round(v))}
      yText={usdShort}
    />
  );
}

/** Memory of one GPU: parts that sum to the whole. */
export function MemoryBar({ chart }: { chart: MemoryChart }) {
  const parts = chart.parts.filter((p) => p.bytes > 0);
  return (
    <figure class="chart">
      <figcaption>Memory of one GPU: {chart.layout}</figcaption>
      <div class="memory" aria-hidden="true">
        {parts.map((p) => (
          <span
            key={p.key}
            class={`fill-${SERIES[chart.parts.indexOf(p)] ?? "series-7"}`}
            style={{ flexGrow: p.bytes / chart.total_bytes }}
            title={`${p.name}: ${gib(p.bytes)}`}
          />
        ))}
      </div>
      <table class="parts">
        <tbody>
          {parts.map((p) => (
            <tr key={p.key}>
              <th scope="row">
                <span class={`swatch fill-${SERIES[chart.parts.indexOf(p)] ?? "series-7"}`} /> {p.name}
              </th>
              <td class="number">{gib(p.bytes)}</td>
              <td class="number quiet">{share(p.bytes / chart.total_bytes)}</td>
            </tr>
          ))}
          <tr class="sum">
            <th scope="row">the whole GPU</th>
            <td class="number">{gib(chart.total_bytes)}</td>
            <td class="number quiet">100 %</td>
          </tr>
        </tbody>
      </table>
    </figure>
  );
}
