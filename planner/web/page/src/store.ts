// The page's state in one place, and the work that keeps the answer in step with the question.

import { useEffect, useState } from "preact/hooks";
import { follow, post, Refused } from "./api";
import { plannedRate } from "./demand";
import { fromFragment, toFragment } from "./link";
import type { About, Answer, Exported, Files, Names, Plan, Preset, Problem, SweepAnswer } from "./types";

/** How an answer's latency was found: among few GPU types, by the closed form, or by simulation. */
export type Mark = "preview" | "closed form" | "simulated";

export interface Shown {
  text: string;
  answer: Answer;
  mark: Mark;
}

/** Work that ended before its answer: the server was busy or out of time. What is shown stays as it is. */
export interface Unfinished {
  step: "answer" | "simulation" | "report";
  problem: Problem;
}

export interface State {
  text: string;
  files: Files;
  problems: Problem[];
  shown: Shown | null;
  curve: { text: string; sweep: SweepAnswer } | null;
  working: boolean;
  long: string | null;
  unfinished: Unfinished | null;
  simulate: boolean;
  notice: string;
  about: About | null;
  names: Names | null;
  presets: Preset[];
  exported: Exported | null;
}

const EMPTY: State = {
  text: "",
  files: {},
  problems: [],
  shown: null,
  curve: null,
  working: false,
  long: null,
  unfinished: null,
  simulate: true,
  notice: "",
  about: null,
  names: null,
  presets: [],
  exported: null,
};

const TYPING_MS = 300;
const SETTLED_MS = 600;
const PREVIEW_GPUS = 3;
const CURVE_STEPS = 9;

let state = EMPTY;
const listeners = new Set<(state: State) => void>();

export function set(patch: Partial<State>): void {
  state = { ...state, ...patch };
  for (const listener of listeners) listener(state);
}

export function current(): State {
  return state;
}

export function useStore(): State {
  const [seen, setSeen] = useState(state);
  useEffect(() => {
    listeners.add(setSeen);
    setSeen(state);
    return () => void listeners.delete(setSeen);
  }, []);
  return seen;
}

let typing = 0;
let settling = 0;
let busy = false;
let again = false;
let sliding: Sliding = "no";
let stopLong: AbortController | null = null;
let settled: { text: string; plan: Plan } | null = null;
let before: Plan | null = null;

/** Whether a slider moves: what it moves is "cheap" to solve again, or needs new sizing as "targets" do. */
export type Sliding = "no" | "cheap" | "targets";

/** A new question. While a slider moves it is solved at once, for targets among few GPU types. */
export function edit(text: string, moved: Sliding = "no"): void {
  set({ text, unfinished: null });
  stop();
  clearTimeout(typing);
  clearTimeout(settling);
  sliding = moved;
  if (sliding === "no") typing = window.setTimeout(() => void answer(), TYPING_MS);
  else void answer();
}

export function setFiles(files: Files): void {
  set({ files });
  edit(state.text);
}

/** Stop the long work, here and on the server. */
export function stop(): void {
  stopLong?.abort();
  stopLong = null;
  if (state.long !== null) set({ long: null });
}

/** Solve the present text; changes that come meanwhile are solved next, the latest alone. */
async function answer(): Promise<void> {
  if (state.exported) return;
  again = busy;
  if (busy) return;
  busy = true;
  set({ working: true, unfinished: null });
  try {
    do {
      again = false;
      await answerOnce(state.text);
    } while (again);
  } finally {
    busy = false;
    set({ working: false });
  }
  clearTimeout(settling);
  if (!state.problems.length && !state.unfinished && state.shown) settling = window.setTimeout(() => void settle(state.text), SETTLED_MS);
}

async function answerOnce(text: string): Promise<void> {
  const among = sliding === "targets" ? (state.shown?.answer.gpus ?? []).slice(0, PREVIEW_GPUS) : [];
  const scenario = { scenario: text, files: state.files };
  if (!text.trim()) return set({ problems: [], shown: null });
  try {
    if (sliding === "no") {
      const { problems } = await post<{ problems: Problem[] }>("api/check", scenario);
      if (problems.length) return set({ problems });
    }
    const asked = { ...scenario, verify: "none", detail: "quick", rivals: 0, among, since: since(text) };
    const found = await post<Answer>("api/solve", asked);
    const gpus = state.shown?.answer.gpus ?? [];
    const kept = found.gpus.length < gpus.length ? { ...found, gpus } : found;
    set({ shown: { text, answer: kept, mark: among.length ? "preview" : "closed form" }, problems: [] });
  } catch (error) {
    refused(error, "answer");
  }
}

/** After the question has rested: alternatives and derivation, the cost curve, then the simulation. */
async function settle(text: string): Promise<void> {
  stop();
  const control = new AbortController();
  stopLong = control;
  const asked = { scenario: text, files: state.files, since: since(text) };
  try {
    set({ long: "pricing the alternatives", unfinished: null });
    const closed = await follow<Answer>("api/solve", { ...asked, verify: "none" }, control.signal, () => {});
    set({ shown: { text, answer: closed, mark: "closed form" } });
    remember(text, closed);
    set({ long: "cost against rate" });
    await drawCurve(text, closed.plan, control.signal);
    if (!state.simulate || !closed.decision.method) return;
    set({ long: "simulating" });
    const full = await follow<Answer>("api/solve", asked, control.signal, (long) => set({ long }));
    set({ shown: { text, answer: full, mark: "simulated" } });
    remember(text, full);
  } catch (error) {
    refused(error, "simulation");
  } finally {
    if (stopLong === control) {
      stopLong = null;
      set({ long: null });
    }
  }
}

/** Other ways to pay and what moves the cost: each a solve of its own, hence only when asked for. */
export async function deepen(): Promise<void> {
  const { text, files } = state;
  stop();
  const control = new AbortController();
  stopLong = control;
  set({ long: "other ways to pay and sensitivity", unfinished: null });
  try {
    const asked = { scenario: text, files, since: since(text), verify: "none", detail: "report" };
    const found = await follow<Answer>("api/solve", asked, control.signal, (step) => set({ long: `sensitivity: ${step}` }));
    set({ shown: { text, answer: found, mark: "closed form" } });
  } catch (error) {
    refused(error, "report");
  } finally {
    if (stopLong === control) {
      stopLong = null;
      set({ long: null });
    }
  }
}

async function drawCurve(text: string, plan: Plan, signal: AbortSignal): Promise<void> {
  const rate = plannedRate(plan);
  if (rate === null) return;
  const range = { axis: "rate", low: String(rate / 4), high: String(rate * 2), steps: CURVE_STEPS };
  const asked = { scenario: text, files: state.files, ...range };
  const sweep = await follow<SweepAnswer>("api/sweep", asked, signal, () => {});
  set({ curve: { text, sweep } });
}

/** The plan that an answer to `text` is compared with: that of the question before it. */
function since(text: string): Plan | null {
  return settled?.text === text ? before : (settled?.plan ?? null);
}

function remember(text: string, found: Answer): void {
  if (settled && settled.text !== text) before = settled.plan;
  settled = { text, plan: found.plan };
}

/** Take up work that was not finished; the server kept what it had simulated by then. */
export function carryOn(): void {
  const step = state.unfinished?.step;
  if (step === "answer") void answer();
  else if (step === "simulation") void settle(state.text);
  else if (step === "report") void deepen();
}

function refused(error: unknown, step: Unfinished["step"]): void {
  const [problem] = error instanceof Refused && error.passing ? error.problems : [];
  if (problem) set({ unfinished: { step, problem } });
  else if (error instanceof Refused) set({ problems: error.problems });
  else if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
}

let linking = 0;
let written = "";

/** Keep the address in step with the question. */
export function linkFollows(): void {
  let text = "";
  let files: Files = {};
  listeners.add((now) => {
    if (now.text === text && now.files === files) return;
    text = now.text;
    files = now.files;
    clearTimeout(linking);
    linking = window.setTimeout(() => void writeLink(), SETTLED_MS);
  });
  window.addEventListener("hashchange", () => {
    if (location.hash !== written) void openLink(location.hash);
  });
}

async function writeLink(): Promise<void> {
  const { about, text, files } = state;
  if (!about || !text) return;
  written = await toFragment({ scenario: text, files, version: about.version, catalog: about.catalog_digest });
  history.replaceState(null, "", written);
}

/** Open what a link carries; false when it carries nothing. */
export async function openLink(fragment: string): Promise<boolean> {
  const linked = await fromFragment(fragment);
  if (!linked) return false;
  const { about } = state;
  const differs = [
    ...(about && linked.version !== about.version ? [`planner ${linked.version} (here ${about.version})`] : []),
    ...(about && linked.catalog !== about.catalog_digest ? ["other catalog data"] : []),
  ];
  const notice = differs.length ? `This link was made with ${differs.join(" and ")}: the numbers may differ.` : "";
  set({ files: linked.files, notice });
  edit(linked.scenario);
  return true;
}
