// Figures of money as the form shows them, and as the scenario's text has them: shares in percent, figures with
// a range, and one number for each of several names.

import { type Plain, valueAt } from "./text";
import { readCount, readNumber, tidy } from "./units";

const PERCENT = /^\s*(-?[0-9]+(?:\.[0-9]+)?)\s*%\s*$/;
const RANGE = /^(.*?)\s*\(\s*(.*?)\s+to\s+(.*?)\s*\)\s*$/;

/** How one number is read from the form, and shown in it. */
export interface Kind {
  read: (text: string) => Plain;
  show: (value: Plain) => string;
}

/** A number as it is; counts and amounts may be written 8k. */
export const PLAIN: Kind = { read: readCount, show: String };

/** A share, in percent in the form: "5 %" is 0.05 in the text. */
export const SHARE: Kind = {
  read: (text) => {
    const match = PERCENT.exec(text);
    return match ? tidy(Number(match[1]) / 100) : readNumber(text);
  },
  show: (value) => (typeof value === "number" ? `${tidy(value * 100, 6)} %` : String(value)),
};

/** A figure with what it may turn out to be: "0.1 (0.06 to 0.3)" is {low: 0.06, mid: 0.1, high: 0.3},
 *  "15 % (0 to 35 %)" {low: 0, mid: 0.15, high: 0.35}. */
export function ranged(kind: Kind): Kind {
  return {
    read: (text) => {
      const match = RANGE.exec(text);
      if (!match) return kind.read(text);
      const percent = /%$/.test(match[3] ?? "") && !/%$/.test(match[2] ?? "") ? " %" : ""; // (10 to 30 %)
      const [mid, low, high] = [match[1], `${match[2]}${percent}`, match[3]].map((part) => kind.read(part ?? ""));
      return { low: low ?? null, mid: mid ?? null, high: high ?? null };
    },
    show: (value) => {
      const [low, mid, high] = ["low", "mid", "high"].map((end) => valueAt(value, [end]) ?? null);
      if (mid === null || mid === undefined) return typeof value === "object" ? "(see the text)" : kind.show(value);
      if ((low ?? null) === null && (high ?? null) === null) return kind.show(mid);
      return `${kind.show(mid)} (${kind.show(low ?? mid).replace(/ %$/, "")} to ${kind.show(high ?? mid)})`;
    },
  };
}

/** A number by name: "aws: 18 %, azure: 5 %" is {aws: 0.18, azure: 0.05}. */
export function byName(kind: Kind): Kind {
  return {
    read: (text) => {
      const pairs = text.split(",").map((part) => /^\s*(.+?)\s*:\s*(.+?)\s*$/.exec(part));
      if (pairs.some((pair) => pair === null)) return text.trim();
      return Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? "", kind.read(pair?.[2] ?? "")]));
    },
    show: (value) =>
      value !== null && typeof value === "object" && !Array.isArray(value)
        ? Object.entries(value)
            .map(([name, own]) => `${name}: ${kind.show(own)}`)
            .join(", ")
        : String(value),
  };
}

/** What the catalog counts with where the scenario says nothing. */
export function shown(figure: Plain | undefined, kind: Kind): string {
  return figure === undefined ? "the catalog's" : ranged(kind).show(figure);
}
