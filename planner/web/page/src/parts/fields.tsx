// Inputs of the form: each shows what the text says and the problems of its own field.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import type { Problem } from "../types";

interface Common {
  label: string;
  problems: Problem[];
}

export function Complaints({ id, problems }: { id?: string; problems: Problem[] }) {
  if (!problems.length) return null;
  return (
    <span class="complaint wide" id={id}>
      {problems.map((p) => [p.what, p.next].filter(Boolean).join("; ")).join(". ")}
    </span>
  );
}

/** A line of text; while it has the focus it keeps what is typed, such as 8k, though the text says 8000. */
export function TextField(
  props: Common & { value: string; hint?: string; list?: string; wide?: boolean; set: (text: string) => void },
) {
  const id = useId();
  const [draft, setDraft] = useState<string | null>(null);
  const bad = props.problems.length > 0;
  return (
    <div class={props.wide ? "field wide" : "field"}>
      <label for={id}>{props.label}</label>
      <input
        id={id}
        type="text"
        autocomplete="off"
        spellcheck={false}
        list={props.list}
        placeholder={props.hint}
        value={draft ?? props.value}
        aria-invalid={bad}
        aria-describedby={bad ? `${id}-p` : undefined}
        onInput={(e) => {
          setDraft(e.currentTarget.value);
          props.set(e.currentTarget.value);
        }}
        onBlur={() => setDraft(null)}
      />
      <Complaints id={`${id}-p`} problems={props.problems} />
    </div>
  );
}

/** Names one can add and remove; an empty list stands for `empty`. */
export function Chips(
  props: Common & { values: string[]; empty: string; list?: string; set: (values: string[]) => void },
) {
  const id = useId();
  const [draft, setDraft] = useState("");
  const add = () => {
    const name = draft.trim();
    setDraft("");
    if (name && !props.values.includes(name)) props.set([...props.values, name]);
  };
  const bad = props.problems.length > 0;
  return (
    <div class="field wide">
      <label for={id}>{props.label}</label>
      <div class="chips">
        {props.values.map((name) => (
          <span class="chip" key={name}>
            {name}
            <button
              type="button"
              aria-label={`Remove ${name}`}
              onClick={() => props.set(props.values.filter((v) => v !== name))}
            >
              ×
            </button>
          </span>
        ))}
        <input
          id={id}
          type="text"
          autocomplete="off"
          list={props.list}
          value={draft}
          placeholder={props.values.length ? "add" : props.empty}
          aria-invalid={bad}
          aria-describedby={bad ? `${id}-p` : undefined}
          onInput={(e) => setDraft(e.currentTarget.value)}
          onChange={add}
          onKeyDown={(e) => {
            if (e.key !== "Enter") return;
            e.preventDefault();
            add();
          }}
        />
      </div>
      <Complaints id={`${id}-p`} problems={props.problems} />
    </div>
  );
}

/** A few choices, any of them. */
export function Checks<T extends string | number>(
  props: Common & { choices: T[]; values: T[]; set: (values: T[]) => void },
) {
  const id = useId();
  const shown = [...props.choices, ...props.values.filter((v) => !props.choices.includes(v))];
  const flip = (choice: T, on: boolean) =>
    props.set(shown.filter((c) => (c === choice ? on : props.values.includes(c))));
  return (
    <fieldset class="field wide" aria-describedby={props.problems.length ? `${id}-p` : undefined}>
      <legend>{props.label}</legend>
      <div class="checks">
        {shown.map((choice) => (
          <label key={choice}>
            <input
              type="checkbox"
              checked={props.values.includes(choice)}
              onChange={(e) => flip(choice, e.currentTarget.checked)}
            />
            {choice}
          </label>
        ))}
      </div>
      <Complaints id={`${id}-p`} problems={props.problems} />
    </fieldset>
  );
}

export function Switch(props: Common & { value: boolean; set: (value: boolean) => void }) {
  return (
    <div class="field wide">
      <label class="switch">
        <input type="checkbox" checked={props.value} onChange={(e) => props.set(e.currentTarget.checked)} />
        {props.label}
      </label>
      <Complaints id="" problems={props.problems} />
    </div>
  );
}

/** One of a few choices, by name and title. */
export function Choice(props: Common & { choices: [string, string][]; value: string; set: (value: string) => void }) {
  const id = useId();
  const bad = props.problems.length > 0;
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <select
        id={id}
        value={props.value}
        aria-invalid={bad}
        aria-describedby={bad ? `${id}-p` : undefined}
        onChange={(e) => props.set(e.currentTarget.value)}
      >
        {props.choices.map(([name, title]) => (
          <option key={name} value={name}>
            {title}
          </option>
        ))}
        {props.choices.every(([name]) => name !== props.value) && <option value={props.value}>{props.value}</option>}
      </select>
      <Complaints id={`${id}-p`} problems={props.problems} />
    </div>
  );
}

/** Completions of a name, shared by fields. */
export function Completions({ id, names }: { id: string; names: string[] }) {
  return (
    <datalist id={id}>
      {names.map((name) => (
        <option key={name} value={name} />
      ))}
    </datalist>
  );
}

const folded = new Map<string, boolean>(); // by title: kept where the form moves, as on paper or a turned phone

/** Part of the form that can be folded; it opens by itself when it is `open` for the question, or a problem is in it. */
export function Group(props: { title: string; open?: boolean; bad: boolean; children: ComponentChildren }) {
  const [open, setOpen] = useState(folded.get(props.title) ?? props.open ?? false);
  useEffect(() => {
    if (props.bad || props.open) setOpen(true);
  }, [props.bad, props.open]);
  const turn = (to: boolean) => {
    folded.set(props.title, to);
    setOpen(to);
  };
  return (
    <details class="group" open={open} onToggle={(e) => turn(e.currentTarget.open)}>
      <summary>{props.title}</summary>
      <div class="fields">{props.children}</div>
    </details>
  );
}
