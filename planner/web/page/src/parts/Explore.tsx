import { useState } from "preact/hooks";
import { plannedRate } from "../demand";
import type { State } from "../store";
import { dataOf, valueAt } from "../text";
import type { Answer, CompareAnswer, SweepAnswer } from "../types";
import { duration, readCount, seconds, tidy, time, usd } from "../units";
import { CostChart } from "./charts";
import { DocumentView } from "./DocumentView";
import { TextField } from "./fields";
import { Running, useRun } from "./run";

const AXIS_TITLES: Record<string, string> = {
  rate: "request rate",
  growth: "growth of demand",
  prompt_tokens: "prompt tokens",
  output_tokens: "output tokens",
  ttft: "TTFT target",
  tpot: "TPOT target",
  e2e: "end-to-end target",
  price_factor: "price factor",
};

/** One input over a range. */
export function Sweep({ state }: { state: State }) {
  const run = useRun<SweepAnswer>("api/sweep");
  const [axis, setAxis] = useState("rate");
  const [range, setRange] = useState<[string, string] | null>(null);
  if (state.exported)
    return (
      <div class="charts">
        {state.exported.sweeps.map((s) => (
          <CostChart key={s.axis.name} sweep={s} here={null} />
        ))}
      </div>
    );
  const [low, high] = range ?? rangeOf(axis, state);
  return (
    <>
      <form
        class="fields"
        onSubmit={(e) => {
          e.preventDefault();
          run.start({ scenario: state.text, files: state.files, axis, low, high, steps: 12, refinements: 1 });
        }}
      >
        <label class="field">
          Sweep
          <select
            value={axis}
            onChange={(e) => {
              setAxis(e.currentTarget.value);
              setRange(null);
            }}
          >
            {(state.names?.sweep_axes ?? []).map((a) => (
              <option key={a} value={a}>
                {AXIS_TITLES[a] ?? a}
              </option>
            ))}
          </select>
        </label>
        <TextField label="From" value={low} problems={[]} set={(text) => setRange([text, high])} />
        <TextField label="To" value={high} problems={[]} set={(text) => setRange([low, text])} />
        <div class="field">
          <button type="submit" class="main">
            Sweep
          </button>
        </div>
      </form>
      <Running run={run} />
      {run.found && (
        <>
          <p>{run.found.document.headline}</p>
          <CostChart sweep={run.found} here={null} />
          <DocumentView document={run.found.document} open={["points"]} />
        </>
      )}
    </>
  );
}

/** Half to twice what the scenario says, where it says one number. */
function rangeOf(axis: string, state: State): [string, string] {
  const data = dataOf(state.text);
  const service = valueAt(data, ["services", 0]) ?? data;
  const around = (value: number | null, fallback: [string, string], write: (v: number) => string = (v) => String(tidy(v, 3))) =>
    value === null ? fallback : ([write(value / 2), write(value * 2)] as [string, string]);
  const target = (metric: string) => {
    const slo = valueAt(service, ["slo"]) ?? null;
    const stated = slo !== null && typeof slo === "object" ? Object.entries(slo) : [];
    return seconds(stated.find(([key]) => key.startsWith(`${metric}_`))?.[1] ?? null);
  };
  const tokens = (name: string) => {
    const value = valueAt(service, [name, "mean"]) ?? valueAt(service, [name]) ?? "";
    const read = typeof value === "string" ? readCount(value) : value;
    return typeof read === "number" ? read : null;
  };
  switch (axis) {
    case "rate":
      return around(state.shown ? plannedRate(state.shown.answer.plan) : null, ["1", "100"]);
    case "growth":
      return ["0", "1"];
    case "price_factor":
      return ["0.5", "1.5"];
    case "prompt_tokens":
    case "output_tokens":
      return around(tokens(axis), ["100", "4000"]);
    default:
      return around(target(axis), ["0.5s", "4s"], duration);
  }
}

interface Pinned {
  name: string;
  answer: Answer;
}

/** The scenario under restrictions; and answers that were kept, side by side. */
export function Compare({ state }: { state: State }) {
  const run = useRun<CompareAnswer>("api/compare");
  const [axis, setAxis] = useState("tensor_parallel");
  const [values, setValues] = useState("2, 4");
  const listed = values.split(",").map((v) => v.trim()).filter(Boolean);
  return (
    <>
      <form
        class="fields"
        onSubmit={(e) => {
          e.preventDefault();
          run.start({ scenario: state.text, files: state.files, vary: { [axis]: listed } });
        }}
      >
        <label class="field">
          Compare
          <select value={axis} onChange={(e) => setAxis(e.currentTarget.value)}>
            {(state.names?.compare_axes ?? []).map((a) => (
              <option key={a} value={a}>
                {a.replace("_", " ")}
              </option>
            ))}
          </select>
        </label>
        <TextField label="Values, with commas" value={values} problems={[]} set={setValues} />
        <div class="field">
          <button type="submit" class="main" disabled={listed.length === 0}>
            Compare
          </button>
        </div>
      </form>
      <Running run={run} />
      {run.found && (
        <>
          <p>
            <strong>{run.found.verdict}</strong>
          </p>
          <DocumentView document={run.found.document} open={["options"]} />
        </>
      )}
      <Kept state={state} />
    </>
  );
}

let kept: Pinned[] = [];

function Kept({ state }: { state: State }) {
  const [pins, setPins] = useState(kept);
  const [name, setName] = useState("");
  const keep = (next: Pinned[]) => {
    kept = next;
    setPins(next);
  };
  const { shown } = state;
  return (
    <>
      <h3>Answers side by side</h3>
      <form
        class="fields"
        onSubmit={(e) => {
          e.preventDefault();
          if (shown) keep([...pins, { name: name.trim() || `Answer ${pins.length + 1}`, answer: shown.answer }]);
          setName("");
        }}
      >
        <TextField label="Name" hint={`Answer ${pins.length + 1}`} value={name} problems={[]} set={setName} />
        <div class="field">
          <button type="submit" disabled={!shown}>
            Keep this answer
          </button>
        </div>
      </form>
      {pins.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Answers side by side">
          <table>
            <thead>
              <tr>
                <td />
                {pins.map((p, i) => (
                  <th key={i} scope="col">
                    {p.name}{" "}
                    <button type="button" class="link" onClick={() => keep(pins.filter((q) => q !== p))}>
                      remove
                    </button>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {ROWS.map(([title, write]) => (
                <tr key={title}>
                  <th scope="row">{title}</th>
                  {pins.map((p, i) => (
                    <td key={i}>{write(p.answer)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

const ROWS: [string, (answer: Answer) => string][] = [
  ["Decision", (a) => a.decision.sentence],
  ["Status", (a) => a.status],
  ["Cost per hour", (a) => (a.decision.usd_per_hour === null ? "-" : usd(a.decision.usd_per_hour))],
  ["Cost per month", (a) => (a.decision.usd_per_month === null ? "-" : usd(a.decision.usd_per_month))],
  ["GPUs", (a) => String(a.decision.gpus ?? "-")],
  ["TTFT p99 at the operating point", (a) => operating(a, "ttft_p99")],
  ["TPOT p99 at the operating point", (a) => operating(a, "tpot_p99")],
  ["Evidence", (a) => a.decision.evidence ?? "-"],
  ["Latency by", (a) => a.decision.method ?? "-"],
];

function operating(answer: Answer, key: "ttft_p99" | "tpot_p99"): string {
  const services = (answer.plan["services"] ?? []) as { replica_groups: { predicted: Record<string, number | null> }[] }[];
  const values = services.flatMap((s) => s.replica_groups.map((g) => g.predicted[`${key}_s`] ?? null));
  return values.map((v) => (v === null ? "-" : time(v))).join(", ") || "-";
}
