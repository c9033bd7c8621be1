// Files a scenario may name, and what each is for: read from its name and its first line.

import { current, edit, set } from "./store";
import { dataOf, type Path, valueAt, withValue } from "./text";

export type Kind = "model config" | "trace" | "price list" | "measured points" | "scenario" | "file";

/** Take a file in, named where the scenario names one of its kind; what was done, in words. */
export function add(fileName: string, text: string): string {
  const name = plainName(fileName);
  const kind = kindOf(name, text);
  if (kind === "scenario") {
    edit(text);
    return `opened ${name}`;
  }
  const { files, text: scenario } = current();
  set({ files: { ...files, [name]: text } });
  edit(named(scenario, name, kind));
  return `added ${name}: ${kind}`;
}

const PASTED: Partial<Record<Kind, string>> = {
  "model config": "config.json",
  "price list": "prices.csv",
  "measured points": "points.csv",
  trace: "trace.csv",
};

/** Take pasted text in as a file where it is one; false where it is text of the scenario. */
export function paste(text: string): boolean {
  if (!text.includes("\n")) return false;
  const kind = kindOf("pasted.json", text);
  const csv = /^[^:{#]+(,[^:{#]+)+$/.test(text.split("\n", 1)[0] ?? "");
  const name = kind === "model config" || csv ? PASTED[kind] : undefined;
  if (name) add(name, text);
  return name !== undefined;
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

export function kindOf(name: string, text: string): Kind {
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
