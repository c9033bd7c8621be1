// What if: each slider edits the scenario's text, so that what is shown is what is solved.

import { useId, useRef } from "preact/hooks";
import { edit, type Sliding, type State, totalRate } from "../store";
import { dataOf, type Path, type Plain, valueAt, withValue } from "../text";
import { duration, qps, seconds, share, tidy, time } from "../units";

const STEPS = 100;

interface Slider {
  label: string;
  value: number;
  low: number;
  high: number;
  log: boolean;
  show: (value: number) => string;
  put: (text: string, value: number) => string;
  kind: Sliding;
}

export function Sliders({ state }: { state: State }) {
  const data = dataOf(state.text);
  const sliders = data ? slidersOf(data) : [];
  if (!sliders.length) return null;
  return (
    <section class="sliders" aria-label="What if">
      {sliders.map((slider) => (
        <Range key={slider.label} slider={slider} text={state.text} />
      ))}
    </section>
  );
}

/** The range stays while the slider moves: its ends are those of the value it started from. */
function Range({ slider, text }: { slider: Slider; text: string }) {
  const id = useId();
  const ends = useRef<[number, number] | null>(null);
  const own = useRef("");
  if (text !== own.current || !ends.current) ends.current = [slider.low, slider.high];
  const [low, high] = ends.current;
  const position = slider.log
    ? (STEPS * Math.log(slider.value / low)) / Math.log(high / low)
    : (STEPS * (slider.value - low)) / (high - low);
  const move = (at: number, kind: Sliding) => {
    const part = at / STEPS;
    const value = slider.log ? low * (high / low) ** part : low + (high - low) * part;
    own.current = slider.put(text, tidy(value, 3));
    edit(own.current, kind);
  };
  return (
    <div class="slider">
      <label for={id}>{slider.label}</label>
      <output for={id}>{slider.show(slider.value)}</output>
      <input
        id={id}
        type="range"
        min={0}
        max={STEPS}
        step={1}
        value={Math.round(position)}
        aria-valuetext={slider.show(slider.value)}
        onInput={(e) => move(Number(e.currentTarget.value), slider.kind)}
      />
    </div>
  );
}

function slidersOf(data: Plain): Slider[] {
  const services = valueAt(data, ["services"]);
  const paths: Path[] = Array.isArray(services) ? services.map((_, i) => ["services", i]) : [[]];
  const rate = totalRate(data);
  const found: Slider[] = [];
  if (rate !== null && rate > 0)
    found.push({
      label: "Request rate",
      value: rate,
      low: rate / 4,
      high: rate * 4,
      log: true,
      show: qps,
      put: (text, value) => scaledRates(text, paths, value / rate),
      kind: "cheap",
    });
  for (const key of ["ttft_p99", "tpot_p99"]) {
    const limit = paths.length === 1 ? seconds(valueAt(data, [...(paths[0] ?? []), "slo", key])) : null;
    if (limit === null || limit <= 0) continue;
    found.push({
      label: `${key.slice(0, 4).toUpperCase()} p99 target`,
      value: limit,
      low: limit / 4,
      high: limit * 4,
      log: true,
      show: time,
      put: (text, value) => withValue(text, [...(paths[0] ?? []), "slo", key], duration(value)),
      kind: "targets",
    });
  }
  const factor = valueAt(data, ["prices", "factors", "all"]);
  found.push({
    label: "Prices",
    value: typeof factor === "number" ? factor : 1,
    low: 0.5,
    high: 1.5,
    log: false,
    show: (value) => `× ${tidy(value, 3)}`,
    put: (text, value) => withValue(text, ["prices", "factors", "all"], value),
    kind: "cheap",
  });
  const probability = paths.length === 1 ? valueAt(data, [...(paths[0] ?? []), "assurance", "probability"]) : null;
  if (typeof probability === "number")
    found.push({
      label: "Assurance",
      value: probability,
      low: 0.5,
      high: 0.999,
      log: false,
      show: share,
      put: (text, value) => withValue(text, [...(paths[0] ?? []), "assurance", "probability"], value),
      kind: "cheap",
    });
  return found;
}

function scaledRates(text: string, paths: Path[], factor: number): string {
  return paths.reduce((edited, path) => {
    const data = dataOf(edited);
    const own = valueAt(data, [...path, "rate"]);
    return typeof own === "number" ? withValue(edited, [...path, "rate"], tidy(own * factor, 3)) : edited;
  }, text);
}
