// The form's view of the scenario's text: what a field says, its problems, and how an edit changes the text.

import type { Kind } from "./figures";
import { edit, type State } from "./store";
import { dataOf, type Path, type Plain, valueAt, withValue } from "./text";
import type { Problem } from "./types";
import { readCount, readNumber } from "./units";

export const POOLING = ["embed", "rerank", "classify"];
const TARGETS = ["ttft_p99", "tpot_p99", "e2e_p99", "itl_p99"];
const POOLED_TARGETS = ["e2e_p50", "e2e_p99"];

/** Reads and edits fields of one service, or of the whole scenario. */
export class FormOf {
  constructor(
    private readonly state: State,
    private readonly data: Plain,
    private readonly service: Path,
  ) {}

  text(path: Path, read: (text: string) => Plain, unit = "", shared = false) {
    const value = this.value(path, shared);
    const empty = value === undefined || value === null;
    return {
      value: empty ? "" : typeof value === "object" ? "(see the text)" : `${String(value)}${typeof value === "number" ? unit : ""}`,
      problems: this.problems(path, shared),
      set: (text: string) => this.put(path, text.trim() === "" ? undefined : read(text), shared),
    };
  }

  /** A figure in its own notation, such as a share in percent; of the whole scenario. */
  figure(path: Path, kind: Kind) {
    const value = this.value(path, true);
    return {
      value: value === undefined || value === null ? "" : kind.show(value),
      problems: this.problems(path, true),
      set: (text: string) => this.put(path, text.trim() === "" ? undefined : kind.read(text), true),
    };
  }

  /** A length: its own number, or the mean of its distribution. */
  length(name: string) {
    return this.mean([name], readCount);
  }

  names(path: Path, shared = false, none: string | undefined = "all") {
    const value = this.value(path, shared);
    const values = value === "all" || value === undefined || value === null ? [] : listed(value);
    return {
      values: values.map(String),
      problems: this.problems(path, shared),
      set: (chosen: string[]) => this.put(path, chosen.length ? chosen : none, shared),
    };
  }

  choices(path: Path, fallback: string[], shared = false) {
    const value = this.value(path, shared);
    return {
      values: value === undefined || value === null ? fallback : listed(value).map(String),
      problems: this.problems(path, shared),
      set: (chosen: string[]) => this.put(path, chosen, shared),
    };
  }

  degrees(path: Path, fallback: number[]) {
    const value = this.value(path);
    return {
      values: value === undefined || value === null ? fallback : listed(value).map(Number),
      problems: this.problems(path),
      set: (chosen: number[]) => this.put(path, chosen),
    };
  }

  flag(path: Path) {
    return {
      value: this.value(path) === true,
      problems: this.problems(path),
      set: (on: boolean) => this.put(path, on),
    };
  }

  targets(): string[] {
    const usual = this.pools ? POOLED_TARGETS : TARGETS;
    const slo = this.value(["slo"]);
    const own = slo !== null && typeof slo === "object" && !Array.isArray(slo) ? Object.keys(slo) : [];
    return [...new Set([...usual.slice(0, 2), ...own.filter((k) => k !== "goodput"), ...usual])].slice(0, 6);
  }

  /** A number alone, or the mean of a distribution; other distributions are left to the text. */
  mean(path: Path, read: (text: string) => Plain, unit = "") {
    const hasMean = valueAt(this.value(path), ["mean"]) !== undefined;
    return this.text(hasMean ? [...path, "mean"] : path, read, unit);
  }

  /** The probability a service is sized for, written as a number alone or among other fields. */
  assurance() {
    const stated = this.value(["assurance"]) ?? null;
    const inside = stated !== null && typeof stated === "object";
    return this.text(inside ? ["assurance", "probability"] : ["assurance"], readNumber);
  }

  /** Several values in one line, such as 2, 4. */
  list(path: Path, read: (text: string) => Plain) {
    const value = this.value(path);
    return {
      value: value === undefined || value === null ? "" : listed(value).map(String).join(", "),
      problems: this.problems(path),
      set: (text: string) => {
        const parts = text.split(",").filter((part) => part.trim() !== "");
        this.put(path, parts.length ? parts.map(read) : undefined);
      },
    };
  }

  /** One of a few names; the fallback is what holds where the text says nothing. */
  choice(path: Path, fallback: string, shared = false) {
    const value = this.value(path, shared);
    return {
      value: typeof value === "string" ? value : fallback,
      problems: this.problems(path, shared),
      set: (name: string) => this.put(path, name === fallback ? undefined : name, shared),
    };
  }

  bad(fields: string[]): boolean {
    return fields.some((f) => this.problems([f]).length > 0 || this.problems([f], true).length > 0);
  }

  /** Whether prompts are pooled into one result, so that nothing is written. */
  get pools(): boolean {
    return POOLING.includes(String(this.value(["task"])));
  }

  /** Whether the work is a batch with a deadline, without a rate and targets. */
  get isBatch(): boolean {
    return (this.value(["job"]) ?? null) !== null;
  }

  private path(path: Path, shared: boolean): Path {
    return shared ? path : [...this.service, ...path];
  }

  value(path: Path, shared = false): Plain | undefined {
    return valueAt(this.data, this.path(path, shared)) ?? valueAt(this.data, path);
  }

  put(path: Path, value: Plain | undefined, shared = false): void {
    this.putAll([[path, value]], shared);
  }

  /** Several fields in one edit. A mapping takes the place of a single value that a field is put into. */
  putAll(fields: [Path, Plain | undefined][], shared = false): void {
    edit(
      fields.reduce((text, [path, value]) => {
        const above = path.slice(0, -1);
        const parent = above.length ? valueAt(dataOf(text) ?? undefined, this.path(above, shared)) : undefined;
        const single = parent !== undefined && (parent === null || typeof parent !== "object");
        if (single && value === undefined) return text;
        return single
          ? withValue(text, this.path(above, shared), { [String(path.at(-1))]: value as Plain })
          : withValue(text, this.path(path, shared), value);
      }, this.state.text),
    );
  }

  /** Problems of the field itself, and of what is in it unless `alone`. */
  problems(path: Path, shared = false, alone = false): Problem[] {
    const field = this.path(path, shared).join(".");
    return this.state.problems.filter((p) => p.field === field || (!alone && p.field?.startsWith(`${field}.`)));
  }
}

export function listed(value: Plain): Plain[] {
  return Array.isArray(value) ? value : [value];
}
