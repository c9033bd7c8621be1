import { useState } from "preact/hooks";
import { download, Refused } from "../api";
import type { State } from "../store";

const STYLES: [string, string][] = [
  ["html", "Report, HTML"],
  ["xlsx", "Report, XLSX"],
  ["md", "Report, Markdown"],
  ["csv", "Order, CSV"],
  ["json", "Plan, JSON"],
];

/** The plan that is shown, as files. */
export function Export({ state }: { state: State }) {
  const [said, setSaid] = useState("");
  const [target, setTarget] = useState("vllm");
  const plan = state.shown?.answer.plan;
  const save = async (body: object, name: string) => {
    setSaid(`writing ${name}`);
    try {
      const blob = await download("api/export", { plan, files: state.files, ...body });
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = name;
      link.click();
      window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      setSaid(`saved ${name}`);
    } catch (error) {
      setSaid(error instanceof Refused ? error.message : "the file could not be written");
    }
  };
  return (
    <>
      <p class="quiet">Files of the plan that is shown, the same as the command line writes.</p>
      <p class="buttons">
        {STYLES.map(([style, title]) => (
          <button key={style} type="button" disabled={!plan} onClick={() => void save({ style }, `plan.${style}`)}>
            {title}
          </button>
        ))}
      </p>
      <form
        class="fields"
        onSubmit={(e) => {
          e.preventDefault();
          void save({ style: "launch", target }, `${target}.zip`);
        }}
      >
        <label class="field">
          Launch files for
          <select value={target} onChange={(e) => setTarget(e.currentTarget.value)}>
            {(state.names?.launch_targets ?? []).map((t) => (
              <option key={t}>{t}</option>
            ))}
          </select>
        </label>
        <div class="field">
          <button type="submit" disabled={!plan}>
            Save ZIP
          </button>
        </div>
      </form>
      <p role="status">{said}</p>
    </>
  );
}
