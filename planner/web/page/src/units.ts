// How people write quantities, and how the page writes them back (as planner/reporting/rounding.py does).

const COUNT = /^\s*([0-9]+(?:\.[0-9]+)?)\s*([kKmM]?)\s*(?:tokens?)?\s*$/;
const RATE = /^\s*([0-9]+(?:\.[0-9]+)?)\s*([kK]?)\s*(?:(?:req|requests)?\s*\/\s*(s|sec|min|m|h|hour|d|day)|rps|qps)?\s*$/;
const PER: Record<string, number> = { s: 1, sec: 1, min: 60, m: 60, h: 3600, hour: 3600, d: 86400, day: 86400 };
const SCALE: Record<string, number> = { "": 1, k: 1e3, K: 1e3, m: 1e6, M: 1e6 };

/** "8k" as 8000; text that is no count stays as it is, for the server to judge. */
export function readCount(text: string): number | string {
  const match = COUNT.exec(text);
  return match ? tidy(Number(match[1]) * (SCALE[match[2] ?? ""] ?? 1)) : text.trim();
}

/** "12/s", "30/min" or "12" as requests per second. */
export function readRate(text: string): number | string {
  const match = RATE.exec(text);
  return match ? tidy((Number(match[1]) * (SCALE[match[2] ?? ""] ?? 1)) / (PER[match[3] ?? "s"] ?? 1)) : text.trim();
}

/** A plain number, or the text as it is. */
export function readNumber(text: string): number | string {
  const trimmed = text.trim();
  return trimmed !== "" && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}

const DURATION = /^\s*([0-9]+(?:\.[0-9]+)?)\s*(us|ms|s|m|min|h|d)?\s*$/;
const SECONDS: Record<string, number> = { us: 1e-6, ms: 1e-3, s: 1, m: 60, min: 60, h: 3600, d: 86400 };

/** "2s" or 0.1 in seconds; null when it is no duration. */
export function seconds(value: unknown): number | null {
  if (typeof value === "number") return value;
  const match = typeof value === "string" ? DURATION.exec(value) : null;
  return match ? Number(match[1]) * (SECONDS[match[2] ?? "s"] ?? 1) : null;
}

/** Seconds as a scenario writes them: 1.5s, 80ms. */
export function duration(value: number): string {
  return value >= 1 ? `${tidy(value)}s` : `${tidy(value * 1e3)}ms`;
}

/** To three significant digits, without floating-point noise. */
export function tidy(value: number, digits = 12): number {
  return Number(value.toPrecision(digits));
}

function significant(value: number, digits = 3): string {
  if (value === 0) return "0";
  if (Math.abs(value) >= 10 ** (digits - 1)) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(digits)));
}

export function usd(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 10_000 ? 0 : 2;
  const text =
    size >= 1 || size === 0
      ? size.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })
      : significant(size);
  return `${value < 0 ? "-" : ""}$${text}`;
}

export function usdShort(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return `$${significant(value / 1e6)}M`;
  if (size >= 1e4) return `$${significant(value / 1e3)}k`;
  return `$${significant(value)}`;
}

export function time(value: number): string {
  if (value >= 600) return `${Math.round(value / 60)} min`;
  if (value >= 1) return `${significant(value)} s`;
  if (value >= 1e-3) return `${significant(value * 1e3)} ms`;
  return `${significant(value * 1e6)} µs`;
}

export function qps(value: number): string {
  return `${significant(value)} req/s`;
}

export function share(value: number): string {
  const percent = 100 * value;
  return `${Math.abs(percent) >= 10 ? Math.round(percent) : significant(percent, 2)} %`;
}

export function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

export function byQuantity(quantity: string, value: number): string {
  switch (quantity) {
    case "seconds":
      return time(value);
    case "qps":
      return qps(value);
    case "share":
      return share(value);
    default:
      return significant(value);
  }
}

/** "ttft_p99" as people write it: TTFT p99. */
export function targetTitle(key: string): string {
  const [metric, percentile] = key.split("_");
  return `${(metric ?? "").toUpperCase()} ${percentile ?? ""}`.trim();
}
