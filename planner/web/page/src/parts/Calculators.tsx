import { useState } from "preact/hooks";
import type { State } from "../store";
import { dataOf, valueAt } from "../text";
import type { Document } from "../types";
import { readCount } from "../units";
import { DocumentView } from "./DocumentView";
import { Completions, TextField } from "./fields";
import { Running, useRun } from "./run";

/** Weights, KV cache and memory of a model on a GPU. */
export function Memory({ state }: { state: State }) {
  const run = useRun<{ document: Document }>("api/memory");
  const own = valueAt(dataOf(state.text), ["model"]);
  const [asked, setAsked] = useState({
    model: typeof own === "string" ? own : "",
    gpu: "h100-sxm-80gb",
    weights: "native",
    kv_cache: "bf16",
    tensor_parallel: "1",
    context_tokens: "4k",
    concurrency: "8",
  });
  const field = (name: keyof typeof asked) => ({
    value: asked[name],
    problems: [],
    set: (text: string) => setAsked({ ...asked, [name]: text }),
  });
  return (
    <>
      <form
        class="fields"
        onSubmit={(e) => {
          e.preventDefault();
          const { gpu, tensor_parallel, context_tokens, concurrency, ...rest } = asked;
          const counts = { tensor_parallel, context_tokens, concurrency };
          const read = Object.fromEntries(Object.entries(counts).map(([k, v]) => [k, readCount(v)]));
          run.start({ ...rest, ...read, ...(gpu.trim() ? { gpu: gpu.trim() } : {}) });
        }}
      >
        <TextField label="Model" list="models" {...field("model")} />
        <TextField label="GPU" list="all-gpus" hint="none" {...field("gpu")} />
        <TextField label="Tensor parallel" {...field("tensor_parallel")} />
        <TextField label="Weights" list="weights" {...field("weights")} />
        <TextField label="KV cache" list="kv" {...field("kv_cache")} />
        <TextField label="Context tokens" {...field("context_tokens")} />
        <TextField label="Sequences" {...field("concurrency")} />
        <div class="field">
          <button type="submit" class="main">
            Size it
          </button>
        </div>
        <Completions id="all-gpus" names={state.names?.gpus ?? []} />
        <Completions id="weights" names={state.names?.weights ?? []} />
        <Completions id="kv" names={state.names?.kv_cache ?? []} />
      </form>
      <Running run={run} />
      {run.found && (
        <>
          <p>
            <strong>{run.found.document.headline}</strong>
          </p>
          <DocumentView document={run.found.document} open={["model", "kv", "gpu", "holds"]} />
        </>
      )}
    </>
  );
}

/** Predictions against measured points of an uploaded file. */
export function Accuracy({ state }: { state: State }) {
  const run = useRun<{ document: Document }>("api/accuracy");
  const files = Object.keys(state.files).filter((n) => n.endsWith(".csv"));
  const [chosen, setChosen] = useState("");
  const points = files.includes(chosen) ? chosen : (files[0] ?? "");
  if (!files.length) return <p class="quiet">Add a CSV file of measured points to the question first.</p>;
  return (
    <>
      <form
        class="fields"
        onSubmit={(e) => {
          e.preventDefault();
          run.start({ points, files: { [points]: state.files[points] ?? "" } });
        }}
      >
        <label class="field">
          Measured points
          <select value={points} onChange={(e) => setChosen(e.currentTarget.value)}>
            {files.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <div class="field">
          <button type="submit" class="main">
            Predict them
          </button>
        </div>
      </form>
      <Running run={run} />
      {run.found && (
        <>
          <p>
            <strong>{run.found.document.headline}</strong>
          </p>
          <DocumentView document={run.found.document} open={["summary", "groups"]} />
        </>
      )}
    </>
  );
}
