// Calls to the server this page came from, and nothing else.

import type { Problem } from "./types";

/** What the server says is wrong with a request. */
export class Refused extends Error {
  constructor(
    readonly problems: Problem[],
    readonly status: number,
  ) {
    super(problems.map((p) => p.what).join("; "));
  }

  /** Whether the same question may be answered another time: the server was busy, out of time, or away. */
  get passing(): boolean {
    return this.problems.every((p) => p.exit_code !== INVALID);
  }
}

const UNREACHABLE: Problem = {
  what: "the server does not answer",
  field: null,
  line: null,
  found: null,
  allowed: null,
  next: "start it again with: planner serve",
  exit_code: 1,
};

const INVALID = 2; // the exit code of input that has to change

export async function get<T>(path: string): Promise<T> {
  return read<T>(await reach(path, {}));
}

export async function post<T>(path: string, body: object, signal?: AbortSignal): Promise<T> {
  return read<T>(await reach(path, asked(body, "application/json", signal)));
}

/** Like `post`, with progress in words; aborting the signal stops the work on the server. */
export async function follow<T>(
  path: string,
  body: object,
  signal: AbortSignal,
  progress: (text: string) => void,
): Promise<T> {
  const response = await reach(path, asked(body, "text/event-stream", signal));
  const streams = response.headers.get("Content-Type")?.startsWith("text/event-stream");
  if (!streams || !response.body) return read<T>(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { done, value } = await reader.read();
    buffer += value ?? "";
    for (let end = buffer.indexOf("\n\n"); end >= 0; end = buffer.indexOf("\n\n")) {
      const [kind, data] = event(buffer.slice(0, end));
      buffer = buffer.slice(end + 2);
      if (kind === "answer") return data as T;
      if (kind === "problem") throw new Refused((data as { problems: Problem[] }).problems, 400);
      progress((data as { text: string }).text);
    }
    if (done) throw new Refused([UNREACHABLE], 0);
  }
}

/** A file to download. */
export async function download(path: string, body: object): Promise<Blob> {
  const response = await reach(path, asked(body, "*/*"));
  return response.ok ? response.blob() : read<Blob>(response);
}

function asked(body: object, accept: string, signal?: AbortSignal): RequestInit {
  const headers = { "Content-Type": "application/json", Accept: accept };
  return { method: "POST", headers, body: JSON.stringify(body), ...(signal ? { signal } : {}) };
}

async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused([UNREACHABLE], 0);
  }
}

async function read<T>(response: Response): Promise<T> {
  const body = (await response.json()) as T & { problems?: Problem[] };
  if (!response.ok) throw new Refused(body.problems ?? [UNREACHABLE], response.status);
  return body;
}

function event(text: string): [string, unknown] {
  let kind = "";
  let data = "{}";
  for (const line of text.split("\n")) {
    if (line.startsWith("event: ")) kind = line.slice(7);
    if (line.startsWith("data: ")) data = line.slice(6);
  }
  return [kind, JSON.parse(data)];
}
