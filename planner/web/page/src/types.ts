// What the server answers; the shapes are those of planner/web/*.py.

export type Value = string | number | null;

export interface Problem {
  what: string;
  field: string | null;
  line: number | null;
  found: string | null;
  allowed: string | null;
  next: string | null;
  exit_code: number;
}

export interface Cell {
  value: Value;
  text: string;
}

export interface Column {
  key: string;
  title: string;
  quantity: string;
}

export interface TableBlock {
  kind: "table";
  key: string;
  title: string;
  note: string;
  columns: Column[];
  rows: Cell[][];
}

export interface Fact extends Cell {
  name: string;
  note: string;
}

export type Block =
  | TableBlock
  | { kind: "facts"; facts: Fact[] }
  | { kind: "paragraph"; text: string; warning: boolean }
  | { kind: "items"; items: string[]; ordered: boolean }
  | { kind: "figure"; title: string; description: string };

export interface Section {
  key: string;
  title: string;
  blocks: Block[];
}

export interface Document {
  title: string;
  headline: string;
  sections: Section[];
  footer: string[];
}

export interface LatencyChart {
  service: string;
  layout: string;
  rates_qps: number[];
  ttft_p99_s: number[];
  tpot_p99_s: number[];
  operating_qps: number;
  capacity_qps: number;
  targets_s: Record<string, number>;
  band: Record<string, { low: (number | null)[]; high: (number | null)[] }>;
  band_level: number | null;
  method: string;
}

export interface MemoryChart {
  layout: string;
  total_bytes: number;
  parts: { key: string; name: string; bytes: number }[];
}

export interface CashLine {
  way: string;
  planned: boolean;
  paid_usd: number[];
}

export interface Decision {
  sentence: string;
  usd_per_hour: number | null;
  usd_per_month: number | null;
  gpus: number | null;
  margin: number | null;
  margin_of: string | null;
  evidence: string | null;
  probability: number | null;
  assumed_slowdown: number | null;
  method: string | null;
}

export type Plan = Record<string, unknown>;

export interface Answer {
  status: string;
  exit_code: number;
  decision: Decision;
  document: Document;
  charts: { latency: LatencyChart[]; memory: MemoryChart[]; cash: CashLine[] };
  gpus: string[];
  changes: (Document & { increase: number | null }) | null;
  version: string;
  catalog_digest: string;
  calibration_digest: string;
  plan: Plan;
}

export interface SweepAnswer {
  axis: { name: string; title: string; quantity: string };
  points: { value: number; status: string; usd_per_hour: number | null; gpus: number | null; choice: string[] }[];
  flips: { low: number; high: number }[];
  document: Document;
}

export interface CompareAnswer {
  verdict: string;
  winner: Record<string, string> | null;
  document: Document;
}

export interface Step {
  formula: string;
  numbers: string;
  result: string;
  note: string;
}

export interface Derivation {
  service: string;
  model: string;
  rows: { topic: string; textbook: Step | null; honest: Step | null }[];
  verdict: string;
}

export interface ExplainAnswer {
  derivations: Derivation[];
  beside: { scenario: string; answer: string; gpus: number | null; usd_per_hour: number | null }[];
}

export interface About {
  version: string;
  catalog_digest: string;
  scenario: string | null;
  limits: { file_bytes: number; files: number };
}

export interface Names {
  models: string[];
  gpus: string[];
  offered_gpus: string[];
  engines: string[];
  weights: string[];
  kv_cache: string[];
  terms: string[];
  providers: string[];
  regions: string[];
  sweep_axes: string[];
  compare_axes: string[];
  launch_targets: string[];
  servers: string[];
  ownership: Record<string, { low: number; mid: number; high: number }>;
}

export interface Preset {
  name: string;
  title: string;
  scenario: string;
}

export type Files = Record<string, string>;

/** What a static site holds instead of a server. */
export interface Exported {
  about: About;
  scenario: string;
  answer: Answer;
  sweeps: SweepAnswer[];
  explain: ExplainAnswer;
}
