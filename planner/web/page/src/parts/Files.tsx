import { useRef, useState } from "preact/hooks";
import { edit, set, setFiles, type State } from "../store";
import { dataOf, type Path, valueAt, withValue } from "../text";

type Kind = "model config" | "trace" | "price list" | "measured points" | "scenario" | "file";

/** Files the scenario may name: chosen, dropped or pasted; what each is for is read from its first line. */
export function FilesField({ state }: { state: State }) {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const [said, setSaid] = useState("");
  const take = async (files: FileList | null) => {
    for (const file of Array.from(files ?? [])) {
      if (state.about && file.size > state.about.limits.file_bytes) {
        setSaid(`${file.name} is larger than this server takes`);
        continue;
      }
      setSaid(add(plainName(file.name), await file.text()));
    }
  };
  return (
    <div
      class={over ? "drop over" : "drop"}
      onDragOver={(e) => {
        e.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(e) => {
        e.preventDefault();
        setOver(false);
        void take(e.dataTransfer?.files ?? null);
      }}
    >
      <button type="button" onClick={() => input.current?.click()}>
        Add a file
      </button>{" "}
      or drop one here: a model's config.json, a trace, a price list, measured points, a scenario.
      <input
        ref={input}
        type="file"
        class="hidden"
        tabIndex={-1}
        aria-label="Add a file"
        multiple
        onChange={(e) => void take(e.currentTarget.files)}
      />
      <ul class="files">
        {Object.entries(state.files).map(([name, text]) => (
          <li key={name} class="chip">
            {name} <span class="quiet">{kindOf(name, text)}</span>
            <button type="button" aria-label={`Remove ${name}`} onClick={() => setFiles(without(state.files, name))}>
              ×
            </button>
          </li>
        ))}
      </ul>
      <span role="status" class="quiet">
        {said}
      </span>
    </div>
  );

  function add(name: string, text: string): string {
    const kind = kindOf(name, text);
    if (kind === "scenario") {
      edit(text);
      return `opened ${name}`;
    }
    set({ files: { ...state.files, [name]: text } });
    edit(named(state.text, name, kind));
    return `added ${name}: ${kind}`;
  }
}

/** The scenario's text with the file named where a file of its kind belongs. */
function named(text: string, name: string, kind: Kind): string {
  const at: Path = Array.isArray(valueAt(dataOf(text), ["services"])) ? ["services", 0] : [];
  switch (kind) {
    case "model config":
      return withValue(text, [...at, "model"], name);
    case "price list":
      return withValue(text, ["prices", "file"], name);
    case "trace":
      return withValue(withValue(text, [...at, "prompt_tokens"], { trace: name }), [...at, "output_tokens"], { trace: name });
    default:
      return text;
  }
}

function kindOf(name: string, text: string): Kind {
  const first = (text.split("\n", 1)[0] ?? "").toLowerCase();
  if (/\.ya?ml$/.test(name)) return "scenario";
  if (name.endsWith(".json") && /"(hidden_size|architectures|n_embd|model_type)"/.test(text)) return "model config";
  if (/tpot_ms|ttft_ms/.test(first)) return "measured points";
  if (/usd_per_hour|instance_type/.test(first)) return "price list";
  if (/tokens|quantile|^\{/.test(first)) return "trace";
  return "file";
}

function plainName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9._ -]/g, "_").replace(/^[^A-Za-z0-9]+/, "");
  return plain.slice(0, 100) || "file";
}

function without(files: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(files).filter(([n]) => n !== name));
}
