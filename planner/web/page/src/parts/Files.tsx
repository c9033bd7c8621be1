import { useRef, useState } from "preact/hooks";
import { add, kindOf } from "../files";
import { setFiles, type State } from "../store";

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
      setSaid(add(file.name, await file.text()));
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
      or drop one here, or paste it into the text: a model's config.json, a trace, a price list, measured points, a scenario.
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
}

function without(files: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(files).filter(([n]) => n !== name));
}
