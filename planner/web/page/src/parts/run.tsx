// Work a tool starts: its progress, its problems, and a button that stops it.

import { useEffect, useRef, useState } from "preact/hooks";
import { follow, Refused } from "../api";
import type { Problem } from "../types";

export interface Run<T> {
  found: T | null;
  said: string | null;
  problems: Problem[];
  start: (body: object) => void;
  stop: () => void;
}

export function useRun<T>(path: string): Run<T> {
  const [found, setFound] = useState<T | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const [problems, setProblems] = useState<Problem[]>([]);
  const control = useRef<AbortController | null>(null);
  const stop = () => {
    control.current?.abort();
    control.current = null;
    setSaid(null);
  };
  useEffect(() => stop, []);
  const start = async (body: object) => {
    stop();
    const own = new AbortController();
    control.current = own;
    setProblems([]);
    setSaid("working");
    try {
      setFound(await follow<T>(path, body, own.signal, setSaid));
    } catch (error) {
      if (error instanceof Refused) setProblems(error.problems);
      else if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
    }
    if (control.current === own) stop();
  };
  return { found, said, problems, start: (body) => void start(body), stop };
}

export function Running<T>({ run }: { run: Run<T> }) {
  return (
    <div role="status" aria-live="polite">
      {run.said !== null && (
        <p class="work">
          <span class="running">{run.said}</span>
          <button type="button" onClick={run.stop}>
            Stop
          </button>
        </p>
      )}
      {run.problems.map((p, i) => (
        <p key={i} class="complaint">
          {[p.field, p.what, p.found && `found ${p.found}`, p.next, p.allowed && `allowed: ${p.allowed}`]
            .filter(Boolean)
            .join("; ")}
        </p>
      ))}
    </div>
  );
}
