import { useEffect, useState } from "preact/hooks";
import { FormOf } from "../form";
import type { State } from "../store";
import { dataOf, type Plain, valueAt } from "../text";
import { readNumber, readRate, targetTitle } from "../units";
import { MoneyAndTime, PricesAndLimits } from "./Money";
import { OwnGpus } from "./OwnGpus";
import { Techniques } from "./Techniques";
import { Conversations, KindOfWork } from "./Work";
import { Checks, Chips, Complaints, Completions, Group, Switch, TextField } from "./fields";
import { FilesField } from "./Files";
import { YamlField } from "./Yaml";

const DEGREES = [1, 2, 4, 8, 16];
const DEFAULTS = { engines: ["vllm"], tensor_parallel: [1, 2, 4, 8], weights: ["bf16", "fp8", "int4"], kv_cache: ["bf16", "fp8"] };

const SEARCHED = ["allow_lower_precision", ...["gpus", "engines", "tensor_parallel", "weights", "kv_cache"].map((f) => `search.${f}`)];

const WIDE = "(min-width: 1000px)";

/** Beside the answer where there is room; folded above it on a phone. */
export function Question({ state }: { state: State }) {
  const [wide, setWide] = useState(window.matchMedia(WIDE).matches);
  useEffect(() => {
    const query = window.matchMedia(WIDE);
    const follow = () => setWide(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);
  const fields = (
    <>
      {state.exported ? null : <Form state={state} />}
      <YamlField state={state} />
    </>
  );
  if (wide)
    return (
      <section class="question" aria-label="The question">
        {fields}
      </section>
    );
  return (
    <section aria-label="The question">
      <details class="folded">
        <summary>Question{state.problems.length > 0 && `: ${state.problems.length} to mend`}</summary>
        <div class="question">{fields}</div>
      </details>
    </section>
  );
}

function Form({ state }: { state: State }) {
  const [chosen, setChosen] = useState(0);
  const data = dataOf(state.text);
  const services = valueAt(data, ["services"]);
  const count = Array.isArray(services) ? services.length : 0;
  const index = Math.min(chosen, Math.max(0, count - 1));
  const form = new FormOf(state, data, count ? ["services", index] : []);
  const { names } = state;
  return (
    <form class="form" aria-label="Scenario" onSubmit={(e) => e.preventDefault()}>
      {!data && <p class="complaint">The text below is not a scenario yet; mend it there.</p>}
      {count > 1 && (
        <label class="field wide">
          Service
          <select value={index} onChange={(e) => setChosen(Number(e.currentTarget.value))}>
            {(services as Plain[]).map((s, i) => (
              <option key={i} value={i}>
                {String(valueAt(s, ["name"]) ?? `service-${i + 1}`)}
              </option>
            ))}
          </select>
        </label>
      )}
      <fieldset class="plain" disabled={!data}>
        <legend class="hidden">Fields</legend>
        <Group title="Demand" open bad={form.bad(["model", "rate", "prompt_tokens", "output_tokens"])}>
          <TextField label="Model" wide list="models" {...form.text(["model"], (t) => t.trim())} />
          {!form.isBatch && <TextField label="Requests" hint="12/s" {...form.text(["rate"], readRate, " /s")} />}
          <TextField label="Prompt tokens" hint="1k" {...form.length("prompt_tokens")} />
          {!form.pools && <TextField label="Output tokens" hint="500" {...form.length("output_tokens")} />}
        </Group>
        <Group title="Latency targets" open bad={form.bad(["slo", "assurance"])}>
          <Complaints problems={form.problems(["slo"], false, true)} />
          {(form.isBatch ? [] : form.targets()).map((key) => (
            <TextField key={key} label={targetTitle(key)} hint="none" {...form.text(["slo", key], readNumber)} />
          ))}
          <TextField label="Assurance" hint="0.8" {...form.assurance()} />
        </Group>
        <KindOfWork form={form} />
        <Conversations form={form} />
        <Group title="Search" bad={form.bad(SEARCHED)}>
          <Chips label="GPUs" empty="all" list="gpus" {...form.names(["search", "gpus"])} />
          <Checks label="Engines" choices={names?.engines ?? []} {...form.choices(["search", "engines"], DEFAULTS.engines)} />
          <Checks label="Tensor parallel" choices={DEGREES} {...form.degrees(["search", "tensor_parallel"], DEFAULTS.tensor_parallel)} />
          <Checks label="Weights" choices={DEFAULTS.weights} {...form.choices(["search", "weights"], DEFAULTS.weights)} />
          <Checks label="KV cache" choices={DEFAULTS.kv_cache} {...form.choices(["search", "kv_cache"], DEFAULTS.kv_cache)} />
          <Switch label="Allow lower precision than the checkpoint's" {...form.flag(["allow_lower_precision"])} />
        </Group>
        <Techniques form={form} />
        <PricesAndLimits form={form} names={names} />
        <MoneyAndTime form={form} names={names} />
        <OwnGpus form={form} names={names} />
      </fieldset>
      <FilesField state={state} />
      <Completions id="models" names={names?.models ?? []} />
      <Completions id="gpus" names={names?.offered_gpus ?? []} />
      <Completions id="providers" names={names?.providers ?? []} />
      <Completions id="regions" names={names?.regions ?? []} />
    </form>
  );
}
