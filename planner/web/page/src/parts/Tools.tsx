// The answer in full, and what else can be found out about the same scenario; each sends the text that is shown.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { State } from "../store";
import { Accuracy, Memory } from "./Calculators";
import { Compare, Sweep } from "./Explore";
import { Explain } from "./Explain";
import { Export } from "./Export";

const TOOLS = ["Answer", "Sweep", "Compare", "Explain", "Memory", "Accuracy", "Export"] as const;
type Tool = (typeof TOOLS)[number];

export function Tools({ state, details }: { state: State; details: ComponentChildren }) {
  const [tool, setTool] = useState<Tool>("Answer");
  const tools = state.exported ? (["Answer", "Sweep", "Explain"] as const) : TOOLS;
  const move = (by: number) => {
    const next = tools[(tools.findIndex((t) => t === tool) + by + tools.length) % tools.length] ?? "Answer";
    setTool(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <>
      <div role="tablist" aria-label="About the plan" class="tabs">
        {tools.map((name) => (
          <button
            key={name}
            id={`tab-${name}`}
            type="button"
            role="tab"
            aria-selected={name === tool}
            aria-controls="tool"
            tabIndex={name === tool ? 0 : -1}
            onClick={() => setTool(name)}
            onKeyDown={(e) => {
              if (e.key === "ArrowRight") move(1);
              if (e.key === "ArrowLeft") move(-1);
            }}
          >
            {name}
          </button>
        ))}
      </div>
      <div id="tool" role="tabpanel" aria-labelledby={`tab-${tool}`} tabIndex={0}>
        {panel(tool, state, details)}
      </div>
    </>
  );
}

function panel(tool: Tool, state: State, details: ComponentChildren): ComponentChildren {
  switch (tool) {
    case "Answer":
      return details;
    case "Sweep":
      return <Sweep state={state} />;
    case "Compare":
      return <Compare state={state} />;
    case "Explain":
      return <Explain state={state} />;
    case "Memory":
      return <Memory state={state} />;
    case "Accuracy":
      return <Accuracy state={state} />;
    case "Export":
      return <Export state={state} />;
  }
}
