import { plannedRate } from "../demand";
import { carryOn, deepen, set, type Shown, type State, stop, type Unfinished } from "../store";
import type { Answer, Block } from "../types";
import { share, usd } from "../units";
import { CashChart, CostChart, LatencyView, MemoryBar } from "./charts";
import { BlockView, DocumentView } from "./DocumentView";
import { Sliders } from "./Sliders";
import { Tools } from "./Tools";

export function AnswerView({ state }: { state: State }) {
  const { shown } = state;
  return (
    <section class="answer" aria-label="The answer" aria-busy={state.working}>
      <Work state={state} />
      {state.unfinished && <NotFinished unfinished={state.unfinished} shown={shown !== null} />}
      {shown ? <Decision state={state} shown={shown} /> : <p class="quiet">The answer appears here.</p>}
      {!state.exported && <Sliders state={state} />}
      <Tools state={state} details={shown && <Details state={state} shown={shown} />} />
    </section>
  );
}

function Work({ state }: { state: State }) {
  const stale = state.shown !== null && state.shown.text !== state.text;
  const said = state.long ?? (state.working ? "solving" : "");
  return (
    <div class="work">
      <span role="status" aria-live="polite">
        {said ? <span class="running">{said}</span> : stale && state.problems.length ? "The answer below is for an earlier question." : ""}
      </span>
      {state.long !== null && (
        <button type="button" onClick={stop}>
          Stop
        </button>
      )}
      {!state.exported && (
        <label class="inline">
          <input
            type="checkbox"
            checked={state.simulate}
            onChange={(e) => {
              set({ simulate: e.currentTarget.checked });
              if (!e.currentTarget.checked) stop();
            }}
          />
          Check in the simulator
        </label>
      )}
    </div>
  );
}

const STEPS: Record<Unfinished["step"], string> = {
  answer: "There is no answer to this question yet",
  simulation: "The check in the simulator did not finish",
  report: "Other ways to pay and sensitivity did not finish",
};

/** What did not finish and why, what is shown meanwhile, and a button that takes it up again. */
function NotFinished({ unfinished, shown }: { unfinished: Unfinished; shown: boolean }) {
  const { step, problem } = unfinished;
  const limit = problem.allowed ? ` (${problem.allowed})` : "";
  const stays = step === "answer" ? (shown ? " What is shown is for an earlier question." : "") : " What is shown is by the closed form.";
  return (
    <div class="warning unfinished" role="alert">
      <p>
        {STEPS[step]}: {problem.what}
        {limit}.{stays} {problem.next && `${problem.next.charAt(0).toUpperCase()}${problem.next.slice(1)}.`}
      </p>
      <button type="button" onClick={carryOn}>
        {step === "answer" ? "Try again" : "Continue"}
      </button>
    </div>
  );
}

const MARKS = {
  preview: "Preview: among the GPU types of the last answer; the full search follows.",
  "closed form": "Latency by the closed form; the simulator has not checked it.",
  simulated: "Latency checked in the simulator.",
};

function Decision({ state, shown }: { state: State; shown: Shown }) {
  const { decision, status } = shown.answer;
  const stale = shown.text !== state.text;
  return (
    <div class={stale ? "decision stale" : "decision"}>
      <p class="marks">
        <span class={`mark ${status}`}>{status}</span>
        <span class={`mark ${shown.mark.replace(" ", "-")}`} title={MARKS[shown.mark]}>
          {shown.mark}
        </span>
      </p>
      <h2 id="decision">{decision.sentence}</h2>
      <p class="sub">{supporting(shown.answer)}</p>
    </div>
  );
}

/** Cost, margin or probability, and evidence, in one sentence. */
function supporting(answer: Answer): string {
  const { usd_per_hour, margin, margin_of, evidence, probability, assumed_slowdown: slowdown, method } = answer.decision;
  if (usd_per_hour === null) return "";
  const cost = `${usd(usd_per_hour)} per hour`;
  const sure =
    slowdown !== null
      ? `, sized for steps ${share(slowdown - 1)} slower than predicted, a margin that is assumed`
      : probability === null
        ? ""
        : `, sized to hold every target with a probability of ${share(probability)}`;
  const spare =
    margin === null
      ? ""
      : margin >= 0
        ? `; the closest target, ${targetName(margin_of)}, holds with ${share(margin)} to spare (${method ?? ""})`
        : `; ${targetName(margin_of)} is missed by ${share(-margin)} (${method ?? ""})`;
  return `${cost}${sure}${spare}. Evidence: ${evidence ?? "none"}.`;
}

function targetName(key: string | null): string {
  return (key ?? "").replace(/(ttft|tpot|itl|e2e)_p/, (_all, metric: string) => `${metric.toUpperCase()} p`);
}

function Details({ state, shown }: { state: State; shown: Shown }) {
  const { answer } = shown;
  const { charts } = answer;
  const decision = answer.document.sections.find((s) => s.key === "decision")?.blocks ?? [];
  const rate = plannedRate(answer.plan);
  return (
    <div class={shown.text !== state.text ? "details stale" : "details"}>
      {decision.map((block: Block, i) => (
        <BlockView key={i} block={block} />
      ))}
      <Changes answer={answer} />
      <div class="charts">
        {state.curve && <CostChart sweep={state.curve.sweep} here={rate} />}
        {charts.latency.map((chart) => (
          <LatencyView key={chart.service + chart.layout} chart={chart} />
        ))}
        {charts.memory.map((chart, i) => (
          <MemoryBar key={i} chart={chart} />
        ))}
        {charts.cash.length > 0 && <CashChart cash={charts.cash} />}
      </div>
      {!state.exported && answer.decision.usd_per_hour !== null && !hasSensitivity(answer) && (
        <p class="more">
          <button type="button" onClick={() => void deepen()}>
            Add other ways to pay and sensitivity
          </button>{" "}
          <span class="quiet">Some twenty solves more.</span>
        </p>
      )}
      <DocumentView document={answer.document} open={["order", "alternatives", "sensitivity"]} without={["decision"]} />
    </div>
  );
}

function hasSensitivity(answer: Answer): boolean {
  return answer.document.sections.some((s) => s.key === "sensitivity");
}

function Changes({ answer }: { answer: Answer }) {
  const { changes } = answer;
  if (!changes) return null;
  return (
    <details class="section changes">
      <summary>
        <h3>Since the last answer</h3> <span class="quiet">{changes.headline}</span>
      </summary>
      {changes.sections.flatMap((s) => s.blocks).map((block, i) => (
        <BlockView key={i} block={block} />
      ))}
    </details>
  );
}
