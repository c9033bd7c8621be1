// The link is the state: the question, compressed, in the part of the address that is never sent to a server.

import type { Files } from "./types";

export interface Linked {
  scenario: string;
  files: Files;
  version: string;
  catalog: string;
}

const MOST_FILE_CHARACTERS = 20_000;

export async function toFragment(linked: Linked): Promise<string> {
  const size = Object.values(linked.files).reduce((sum, text) => sum + text.length, 0);
  const carried = size <= MOST_FILE_CHARACTERS ? linked : { ...linked, files: {} };
  const stream = new Blob([JSON.stringify(carried)]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const text = btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""));
  return `#q=${text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/** What a link carries; null when it carries no question, or one that cannot be read. */
export async function fromFragment(fragment: string): Promise<Linked | null> {
  if (!fragment.startsWith("#q=")) return null;
  try {
    const text = atob(fragment.slice(3).replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    const found: unknown = JSON.parse(await new Response(stream).text());
    return isLinked(found) ? found : null;
  } catch {
    return null;
  }
}

function isLinked(found: unknown): found is Linked {
  if (found === null || typeof found !== "object") return false;
  const { scenario, files, version, catalog } = found as Record<string, unknown>;
  const texts = files !== null && typeof files === "object" && Object.values(files).every((t) => typeof t === "string");
  return [scenario, version, catalog].every((t) => typeof t === "string") && texts;
}
