// What if: each slider edits the scenario's text, so that what is shown is what is solved.

import { useId, useRef } from "preact/hooks";
import { demandOf, servicePaths } from "../demand";
import { edit, type Sliding, type State } from "../store";
import { dataOf, type Path, type Plain, valueAt, withValue } from "../text";
import { duration, seconds, share, targetTitle, tidy, time } from "../units";

const STEPS = 100;

interface Slider {
  label: string;
  value: number;
  low: number;
  high: number;
  log: boolean;
  steps?: number;
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
  const steps = slider.steps ?? STEPS;
  const position = slider.log
    ? (steps * Math.log(slider.value / low)) / Math.log(high / low)
    : (steps * (slider.value - low)) / (high - low);
  const move = (at: number, kind: Sliding) => {
    const part = at / steps;
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
        max={steps}
        step={1}
        value={Math.round(position)}
        aria-valuetext={slider.show(slider.value)}
        onInput={(e) => move(Number(e.currentTarget.value), slider.kind)}
      />
    </div>
  );
}

const MOST_TARGETS = 3;
const DEFAULT_PROBABILITY = 0.8; // where a scenario says nothing

function slidersOf(data: Plain): Slider[] {
  return [...rates(data), ...targets(data), prices(data), ...assurance(data)];
}

function rates(data: Plain): Slider[] {
  const demand = demandOf(data);
  if (!demand) return [];
  const { amount, show, at } = demand;
  return [{ label: "Request rate", value: amount, low: amount / 4, high: amount * 4, log: true, show, put: at, kind: "cheap" }];
}

/** The targets of a single service; of several, which of them is meant would not be seen. */
function targets(data: Plain): Slider[] {
  const [path, ...others] = servicePaths(data);
  const slo = path && !others.length ? valueAt(data, [...path, "slo"]) : null;
  if (!path || slo === null || typeof slo !== "object" || Array.isArray(slo)) return [];
  return Object.entries(slo)
    .flatMap(([key, value]): Slider[] => {
      const limit = key === "goodput" ? null : seconds(value);
      if (limit === null || limit <= 0) return [];
      return [{
        label: `${targetTitle(key)} target`,
        value: limit,
        low: limit / 4,
        high: limit * 4,
        log: true,
        show: time,
        put: (text, x) => withValue(text, [...path, "slo", key], duration(x)),
        kind: "targets",
      }];
    })
    .slice(0, MOST_TARGETS);
}

function prices(data: Plain): Slider {
  const factor = valueAt(data, ["prices", "factors", "all"]);
  return {
    label: "Prices",
    value: typeof factor === "number" ? factor : 1,
    low: 0.5,
    high: 1.5,
    log: false,
    show: (value) => `× ${tidy(value, 3)}`,
    put: (text, value) => withValue(text, ["prices", "factors", "all"], value),
    kind: "cheap",
  };
}

/** The probability all services are sized for; at its low end the prediction itself. */
function assurance(data: Plain): Slider[] {
  if (servicePaths(data).some((path) => path.length && valueAt(data, [...path, "assurance"]) !== undefined)) return [];
  const stated = valueAt(data, ["assurance"]);
  const inside = valueAt(stated, ["probability"]);
  const path: Path = stated !== null && typeof stated === "object" ? ["assurance", "probability"] : ["assurance"];
  const value = typeof inside === "number" ? inside : typeof stated === "number" ? stated : stated === "none" ? 0.5 : DEFAULT_PROBABILITY;
  return [{
    label: "Assurance",
    value,
    low: 0.5,
    high: 0.99,
    log: false,
    steps: 49, // of one percent
    show: (x) => (stated === "none" ? "none" : share(x)),
    put: (text, x) => withValue(text, path, tidy(x, 2)),
    kind: "targets",
  }];
}
