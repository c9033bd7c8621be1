import { useState } from "preact/hooks";
import { edit, set, type State } from "../store";

export function Header({ state }: { state: State }) {
  return (
    <header class="bar">
      <h1>
        planner <span class="quiet">GPU capacity for LLM serving</span>
      </h1>
      {state.presets.length > 0 && <Presets state={state} />}
      {!state.exported && <CopyLink />}
    </header>
  );
}

function Presets({ state }: { state: State }) {
  const chosen = state.presets.find((p) => p.scenario === state.text)?.name ?? "";
  const open = (name: string) => {
    set({ notice: "", curve: null });
    edit(state.presets.find((p) => p.name === name)?.scenario ?? "");
  };
  return (
    <label class="inline">
      Example
      <select value={chosen} onChange={(e) => open(e.currentTarget.value)}>
        <option value="">{chosen ? "empty" : "your own"}</option>
        {state.presets.map((p) => (
          <option key={p.name} value={p.name} title={p.title}>
            {p.name}
          </option>
        ))}
      </select>
    </label>
  );
}

function CopyLink() {
  const [said, setSaid] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      setSaid("Link copied");
    } catch {
      setSaid("Copy it from the address bar");
    }
    window.setTimeout(() => setSaid(""), 2500);
  };
  return (
    <span class="inline">
      <button type="button" onClick={() => void copy()}>
        Copy link
      </button>
      <span role="status" class="quiet">
        {said}
      </span>
    </span>
  );
}
