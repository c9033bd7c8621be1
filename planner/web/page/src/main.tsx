import "uplot/dist/uPlot.min.css";
import "./page.css";
import { render } from "preact";
import { get, Refused } from "./api";
import { App } from "./parts/App";
import { edit, linkFollows, openLink, set } from "./store";
import type { About, Exported, Names, Preset } from "./types";

async function open(): Promise<void> {
  const [about, names, presets] = await Promise.all([
    get<About>("api/about"),
    get<Names>("api/names"),
    get<Preset[]>("api/presets"),
  ]);
  set({ about, names, presets });
  linkFollows();
  if (await openLink(location.hash)) return;
  edit(about.scenario ?? presets.find((p) => p.name === "llama70b_qps50")?.scenario ?? "");
}

function openExported(exported: Exported): void {
  const { about, scenario, answer } = exported;
  const rate = exported.sweeps.find((s) => s.axis.name === "rate");
  set({
    exported,
    about,
    text: scenario,
    shown: { text: scenario, answer, mark: answer.decision.method === "simulated" ? "simulated" : "closed form" },
    curve: rate ? { text: scenario, sweep: rate } : null,
  });
}

/** On paper every section is open. */
function printWhole(): void {
  let closed: HTMLDetailsElement[] = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll<HTMLDetailsElement>("details.section:not([open])")];
    for (const section of closed) section.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const section of closed) section.open = false;
  });
}

printWhole();
const page = document.getElementById("page");
if (page) {
  page.textContent = "";
  render(<App />, page);
}
const carried = document.getElementById("exported")?.textContent;
if (carried) openExported(JSON.parse(carried) as Exported);
else
  open().catch((error: unknown) => {
    set({ problems: error instanceof Refused ? error.problems : [] });
  });
