import { useLayoutEffect, useRef } from "preact/hooks";
import { paste } from "../files";
import { edit, type State } from "../store";
import type { Problem } from "../types";

/** The scenario's text with line numbers, and every problem of it at once. */
export function YamlField({ state }: { state: State }) {
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLDivElement>(null);
  const lines = state.text.split("\n").length;
  const bad = new Set(state.problems.map((p) => p.line));
  useLayoutEffect(() => {
    const node = area.current;
    if (!node || node.value === state.text) return;
    const { selectionStart, selectionEnd } = node;
    node.value = state.text;
    if (document.activeElement === node) node.setSelectionRange(selectionStart, selectionEnd);
  }, [state.text]);
  const goTo = (line: number) => {
    const node = area.current;
    if (!node) return;
    const start = state.text.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    const end = state.text.indexOf("\n", start);
    node.focus();
    node.setSelectionRange(start, end < 0 ? state.text.length : end);
  };
  return (
    <div class="yaml">
      <label for="yaml">Scenario, as YAML</label>
      <div class="editor">
        <div class="gutter" aria-hidden="true" ref={gutter}>
          {Array.from({ length: lines }, (_, i) => (
            <span key={i} class={bad.has(i + 1) ? "bad" : ""}>
              {i + 1}
            </span>
          ))}
        </div>
        <textarea
          id="yaml"
          ref={area}
          spellcheck={false}
          autocapitalize="off"
          autocomplete="off"
          wrap="off"
          rows={Math.min(Math.max(lines + 1, 12), 40)}
          readOnly={state.exported !== null}
          aria-invalid={state.problems.length > 0}
          aria-describedby="problems"
          onInput={(e) => edit(e.currentTarget.value)}
          onPaste={(e) => {
            if (paste(e.clipboardData?.getData("text") ?? "")) e.preventDefault();
          }}
          onScroll={(e) => {
            if (gutter.current) gutter.current.scrollTop = e.currentTarget.scrollTop;
          }}
        />
      </div>
      <Problems problems={state.problems} goTo={goTo} />
    </div>
  );
}

function Problems({ problems, goTo }: { problems: Problem[]; goTo: (line: number) => void }) {
  return (
    <div id="problems" role="status" aria-live="polite">
      {problems.length > 0 && (
        <ul class="problems">
          {problems.map((p, i) => (
            <li key={i}>
              {p.line !== null && (
                <button type="button" class="link" onClick={() => goTo(p.line ?? 1)}>
                  line {p.line}
                </button>
              )}{" "}
              {p.field && <code>{p.field}</code>} {p.what}
              {p.found && (
                <span>
                  , found <code>{p.found}</code>
                </span>
              )}
              {p.next && <em>. {p.next}</em>}
              {p.allowed && <small>Allowed: {p.allowed}</small>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
