import { useState } from "preact/hooks";
import type { State } from "../store";
import type { Derivation, ExplainAnswer, Step } from "../types";
import { usd } from "../units";
import { Running, useRun } from "./run";

/** The derivation step by step: the textbook beside what the targets need. */
export function Explain({ state }: { state: State }) {
  const run = useRun<ExplainAnswer>("api/explain");
  const found = state.exported?.explain ?? run.found;
  return (
    <>
      {!state.exported && (
        <p>
          <button type="button" class="main" onClick={() => run.start({ scenario: state.text, files: state.files })}>
            Explain step by step
          </button>{" "}
          <span class="quiet">Formula, numbers and result of each step, beside the textbook sizing by memory alone.</span>
        </p>
      )}
      <Running run={run} />
      {found?.derivations.map((d) => (
        <DerivationView key={d.service} derivation={d} />
      ))}
      {found && found.beside.length > 0 && (
        <ul>
          {found.beside.map((b) => (
            <li key={b.scenario}>
              {b.scenario}: {b.answer}
              {b.usd_per_hour !== null && `, ${usd(b.usd_per_hour)} per hour`}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function DerivationView({ derivation }: { derivation: Derivation }) {
  const [count, setCount] = useState(derivation.rows.length);
  const all = derivation.rows.length;
  return (
    <section aria-label={`Derivation of ${derivation.service}`}>
      <h3>
        {derivation.service}: {derivation.model}
      </h3>
      <p class="work">
        <button type="button" onClick={() => setCount(1)}>
          From the first step
        </button>
        <button type="button" disabled={count >= all} onClick={() => setCount(count + 1)}>
          Next step
        </button>
        <button type="button" disabled={count >= all} onClick={() => setCount(all)}>
          All steps
        </button>
        <span role="status" class="quiet">
          {count} of {all}
        </span>
      </p>
      <div class="scroll" tabIndex={0} role="region" aria-label="Steps">
        <table class="steps">
          <thead>
            <tr>
              <th scope="col">Step</th>
              <th scope="col">By memory alone (textbook)</th>
              <th scope="col">What the targets need</th>
            </tr>
          </thead>
          <tbody>
            {derivation.rows.slice(0, count).map((row) => (
              <tr key={row.topic}>
                <th scope="row">{row.topic}</th>
                <td>
                  <StepView step={row.textbook} />
                </td>
                <td>
                  <StepView step={row.honest} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {count >= all && (
        <p>
          <strong>Why they differ:</strong> {derivation.verdict}
        </p>
      )}
    </section>
  );
}

function StepView({ step }: { step: Step | null }) {
  if (!step) return <span class="quiet">-</span>;
  return (
    <>
      <code>{step.formula}</code>
      {step.numbers && <span class="line">{step.numbers}</span>}
      <strong class="line">= {step.result}</strong>
      {step.note && <em class="line quiet">{step.note}</em>}
    </>
  );
}
