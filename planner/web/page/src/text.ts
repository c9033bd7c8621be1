// The scenario's text is the only state of the question. The form reads from it and edits it in place, so that
// comments and layout stay; whatever is sent is this text, unchanged.

import { type Document, isMap, isScalar, isSeq, type Node, type Pair, parseDocument, type YAMLMap } from "yaml";

export type Path = (string | number)[];
export type Plain = null | string | number | boolean | Plain[] | { [key: string]: Plain };

/** The text as plain data; null while it is no mapping. */
export function dataOf(text: string): { [key: string]: Plain } | null {
  const document = parseDocument(text, { schema: "core" });
  if (document.errors.length) return null;
  if (document.contents === null) return {};
  const data = document.toJS() as Plain;
  return data !== null && typeof data === "object" && !Array.isArray(data) ? data : null;
}

export function valueAt(data: Plain | undefined, path: Path): Plain | undefined {
  let here: Plain | undefined = data;
  for (const part of path) {
    if (here === null || typeof here !== "object") return undefined;
    here = Array.isArray(here) ? here[Number(part)] : here[String(part)];
  }
  return here;
}

/** The text with the value at `path` set; `undefined` removes the field. */
export function withValue(text: string, path: Path, value: Plain | undefined): string {
  const document = parseDocument(text, { schema: "core" });
  if (document.errors.length) return text;
  if (document.contents === null) return value === undefined ? text : `${text}${newLine(text)}${nested(path, value)}\n`;
  const edited = value === undefined ? removed(text, document, path) : placed(text, document, path, value);
  if (edited !== null && same(valueAt(dataOf(edited) ?? undefined, path), value)) return edited;
  if (value === undefined) document.deleteIn(path);
  else document.setIn(path, value);
  return document.toString({ lineWidth: 0 });
}

function newLine(text: string): string {
  return text === "" || text.endsWith("\n") ? "" : "\n";
}

function nested(path: Path, value: Plain): string {
  const [first, ...rest] = path;
  return `${flow(String(first))}: ${flow(rest.reduceRight<Plain>((inner, key) => ({ [String(key)]: inner }), value))}`;
}

function same(a: Plain | undefined, b: Plain | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A value in flow style: 50, [1, 2], {all: 0.9}, 'a: b'. */
export function flow(value: Plain): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (value !== null && typeof value === "object")
    return `{${Object.entries(value)
      .map(([k, v]) => `${flow(k)}: ${flow(v)}`)
      .join(", ")}}`;
  if (typeof value !== "string") return String(value);
  const plain = /^[A-Za-z0-9_][A-Za-z0-9_./@ -]*$/.test(value) && !/\s$/.test(value);
  return plain && typeof parseDocument(value, { schema: "core" }).toJS() === "string" ? value : JSON.stringify(value);
}

function placed(text: string, document: Document, path: Path, value: Plain): string | null {
  const node = document.getIn(path, true) as Node | undefined;
  if (node?.range && (isScalar(node) || node.range[1] > node.range[0])) {
    if (!isBlock(node)) return splice(text, node.range[0], node.range[1], flow(value));
    return null;
  }
  if (path.length === 0) return null;
  const key = path[path.length - 1];
  const above = path.slice(0, -1);
  const parent = (above.length ? document.getIn(above, true) : document.contents) as Node | null | undefined;
  if (!parent) return typeof key === "string" && above.length ? placed(text, document, above, { [key]: value }) : null;
  return isMap(parent) && typeof key === "string" ? inserted(text, parent, key, value) : null;
}

function isBlock(node: Node): boolean {
  return (isMap(node) || isSeq(node)) && !node.flow;
}

function inserted(text: string, parent: YAMLMap, key: string, value: Plain): string | null {
  if (!parent.range) return null;
  const line = `${flow(key)}: ${flow(value)}`;
  if (parent.flow) {
    const end = parent.range[1] - 1;
    const before = text.slice(0, end).trimEnd();
    return before + (parent.items.length ? ", " : "") + line + text.slice(end);
  }
  const first = (parent.items[0]?.key as Node | undefined)?.range?.[0];
  if (first === undefined) return null;
  const indent = first - (text.lastIndexOf("\n", first - 1) + 1);
  const last = text.slice(0, parent.range[1]).trimEnd().length;
  const next = text.indexOf("\n", last);
  const end = next < 0 ? text.length : next;
  return splice(text, end, end, `\n${" ".repeat(indent)}${line}`);
}

function removed(text: string, document: Document, path: Path): string | null {
  const above = path.slice(0, -1);
  const parent = (above.length ? document.getIn(above, true) : document.contents) as Node | null | undefined;
  if (!isMap(parent)) return parent ? null : text;
  const index = parent.items.findIndex((p) => isScalar(p.key) && p.key.value === path[path.length - 1]);
  if (index < 0) return text;
  if (parent.items.length === 1) return above.length ? removed(text, document, above) : null;
  const pair = parent.items[index] as Pair<Node, Node | null>;
  const start = pair.key.range?.[0];
  const end = pair.value?.range?.[1] ?? pair.key.range?.[1];
  if (start === undefined || end === undefined) return null;
  if (!parent.flow) return splice(text, text.lastIndexOf("\n", start - 1) + 1, lineAfter(text, end), "");
  const rest = /^\s*,\s*/.exec(text.slice(end));
  if (rest) return splice(text, start, end + rest[0].length, "");
  const before = /,\s*$/.exec(text.slice(0, start));
  return splice(text, start - (before?.[0].length ?? 0), end, "");
}

function lineAfter(text: string, at: number): number {
  const next = text.indexOf("\n", at);
  return next < 0 ? text.length : next + 1;
}

function splice(text: string, start: number, end: number, part: string): string {
  return text.slice(0, start) + part + text.slice(end);
}
