// The rates a scenario states, in the units they are stated in, and the same text at other rates.

import { dataOf, type Path, type Plain, valueAt, withValue } from "./text";
import type { Plan } from "./types";
import { qps, readRate, tidy } from "./units";

const AMOUNT = /^(\s*)([0-9]+(?:\.[0-9]+)?)(.*)$/s;

export interface Demand {
  amount: number;
  show: (amount: number) => string;
  at: (text: string, amount: number) => string;
}

/** Where each service of the scenario stands in the text. */
export function servicePaths(data: Plain): Path[] {
  const services = valueAt(data, ["services"]);
  return Array.isArray(services) ? services.map((_, i) => ["services", i]) : [[]];
}

/** What the scenario asks for in all, batches left out; null where its rates cannot be added up. */
export function demandOf(data: Plain): Demand | null {
  const paths = ratePaths(data);
  const stated = paths.map((path) => valueAt(data, path));
  const perSecond = stated.map((rate) => (typeof rate === "string" ? readRate(rate) : rate));
  if (stated.length && perSecond.every((rate): rate is number => typeof rate === "number" && rate > 0)) {
    const total = perSecond.reduce((a, b) => a + b, 0);
    return { amount: total, show: qps, at: (text, amount) => scaled(text, paths, amount / total) };
  }
  const [only] = stated;
  const match = stated.length === 1 && typeof only === "string" ? AMOUNT.exec(only) : null;
  const amount = match ? Number(match[2]) : 0;
  if (!match || amount <= 0) return null;
  const unit = match[3] ?? "";
  return { amount, show: (x) => `${tidy(x, 3)}${unit}`, at: (text, x) => scaled(text, paths, x / amount) };
}

/** Requests per second of a plan's services, batches left out. */
export function plannedRate(plan: Plan): number | null {
  const services = valueAt(plan as { [key: string]: Plain }, ["scenario", "services"]);
  if (!Array.isArray(services)) return null;
  const rates = services
    .filter((s) => (valueAt(s, ["job"]) ?? null) === null)
    .map((s) => valueAt(s, ["rate"]))
    .filter((rate): rate is number => typeof rate === "number" && rate > 0);
  return rates.length ? rates.reduce((a, b) => a + b, 0) : null;
}

/** Each field that states a rate, once: services share the scenario's own where they have none. */
function ratePaths(data: Plain): Path[] {
  const stated = servicePaths(data)
    .filter((path) => (valueAt(data, [...path, "job"]) ?? null) === null)
    .map((path) => ((valueAt(data, [...path, "rate"]) ?? null) === null ? ["rate"] : [...path, "rate"]));
  return [...new Map(stated.map((path) => [path.join("."), path])).values()];
}

function scaled(text: string, paths: Path[], factor: number): string {
  return paths.reduce((edited, path) => {
    const own = valueAt(dataOf(edited), path);
    if (typeof own === "number") return withValue(edited, path, tidy(own * factor, 3));
    const match = typeof own === "string" ? AMOUNT.exec(own) : null;
    return match ? withValue(edited, path, `${tidy(Number(match[2]) * factor, 3)}${match[3] ?? ""}`) : edited;
  }, text);
}
