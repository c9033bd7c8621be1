// What kind of work a service does: its task, a batch with a deadline, adapters, conversations.

import { useRef } from "preact/hooks";
import { type FormOf, POOLING } from "../form";
import { type Path, type Plain, valueAt } from "../text";
import { readCount, readNumber, tidy } from "../units";
import { Choice, Complaints, Group, TextField } from "./fields";

const DAY_S = 86_400;
const TASKS: [string, string][] = [
  ["generate", "generate text"],
  ["embed", "embed"],
  ["rerank", "rerank"],
  ["classify", "classify"],
];
const SHAPES: [string, string][] = [
  ["stream", "over time"],
  ["batch", "by a deadline"],
];
const RANKS: [string, string][] = ["8", "16", "32", "64", "128", "256"].map((r) => [r, r]);
const ROUTERS: [string, string][] = ["least-loaded", "round-robin", "random", "prefix-aware"].map((r) => [r, r]);
const REPLACED_BY_JOB = ["rate", "slo", "load", "arrivals"];

type Fields = [Path, Plain | undefined][];

/** "20:00" or 20 as the hour of a day. */
function readHour(text: string): Plain {
  return readNumber(text.replace(/:00\s*$/, ""));
}

/** Task, batch job and adapters. What a choice takes out of the text it puts back when it is undone. */
export function KindOfWork({ form }: { form: FormOf }) {
  const aside = useRef<Record<string, Plain>>({});
  const putAside = (names: string[]): Fields =>
    names.flatMap((name) => {
      const value = form.value([name]);
      if (value === undefined || value === null) return [];
      aside.current[name] = value;
      return [[[name], undefined]];
    });
  const broughtBack = (names: string[]): Fields =>
    names.flatMap((name) => {
      const value = aside.current[name];
      delete aside.current[name];
      return value === undefined ? [] : [[[name], value]];
    });
  const setTask = (task: string) => {
    const pools = POOLING.includes(task);
    const changed: Fields = [[["task"], task === "generate" ? undefined : task]];
    if (pools && !form.pools) changed.push(...putAside(["output_tokens"]), ...onlyEndToEnd(form, aside.current));
    if (!pools && form.pools) changed.push(...broughtBack(form.isBatch ? ["output_tokens"] : ["output_tokens", "slo"]));
    form.putAll(changed);
  };
  const setShape = (shape: string) => {
    if (shape === "batch") {
      const rate = form.value(["rate"]);
      const requests = typeof rate === "number" ? tidy(rate * DAY_S, 6) : undefined;
      const job: Plain = requests === undefined ? { within: "24h" } : { requests, within: "24h" };
      form.putAll([...putAside(REPLACED_BY_JOB), [["job"], job]]);
      return;
    }
    const requests = valueAt(form.value(["job"]), ["requests"]);
    const known = aside.current["rate"] === undefined && typeof requests === "number";
    const rate: Fields = known ? [[["rate"], tidy(requests / DAY_S, 6)]] : [];
    form.putAll([[["job"], undefined], ...rate, ...broughtBack(REPLACED_BY_JOB)]);
  };
  const adapters = (form.value(["lora"]) ?? null) !== null;
  const used = form.isBatch || form.pools || adapters;
  return (
    <Group title="Kind of work" open={used} bad={form.bad(["task", "job", "lora"])}>
      <Choice label="Task" choices={TASKS} {...form.choice(["task"], "generate")} set={setTask} />
      <Choice
        label="Work"
        choices={SHAPES}
        value={form.isBatch ? "batch" : "stream"}
        problems={form.problems(["job"], false, true)}
        set={setShape}
      />
      {form.isBatch && (
        <>
          <TextField label="Requests a day" hint="2M" {...form.text(["job", "requests"], readCount)} />
          <TextField label="Done within" hint="8h" {...form.text(["job", "within"], readNumber, " s")} />
          <TextField label="There from hour" hint="0" {...form.text(["job", "start"], readHour, ":00")} />
        </>
      )}
      <Complaints problems={form.problems(["lora"], false, true)} />
      <TextField label="LoRA adapters" hint="none" {...form.text(["lora", "adapters"], readNumber)} />
      {adapters && (
        <>
          <Choice
            label="Largest LoRA rank"
            choices={RANKS}
            value={String(form.value(["lora", "rank"]) ?? 16)}
            problems={form.problems(["lora", "rank"])}
            set={(rank) => form.put(["lora", "rank"], Number(rank))}
          />
          <TextField label="Adapters a replica holds" hint="all" {...form.text(["lora", "max_loaded"], readNumber)} />
        </>
      )}
    </Group>
  );
}

/** Targets that a task without tokens can have; the others are kept aside with them. */
function onlyEndToEnd(form: FormOf, aside: Record<string, Plain>): Fields {
  const slo = form.value(["slo"]);
  if (slo === null || typeof slo !== "object" || Array.isArray(slo)) return [];
  aside["slo"] = slo;
  const kept = Object.entries(slo).filter(([key]) => key.startsWith("e2e_") || key === "goodput");
  return [[["slo"], kept.some(([key]) => key !== "goodput") ? Object.fromEntries(kept) : undefined]];
}

/** Requests as turns of conversations, and who of the replicas gets the next one. */
export function Conversations({ form }: { form: FormOf }) {
  const there = (form.value(["conversations"]) ?? null) !== null;
  return (
    <Group title="Conversations" open={there} bad={form.bad(["conversations", "routing"])}>
      <Complaints problems={form.problems(["conversations"], false, true)} />
      <TextField label="Turns" hint="none" {...form.mean(["conversations", "turns"], readNumber)} />
      <TextField label="Think time" hint="20s" {...form.mean(["conversations", "think_time"], readNumber, " s")} />
      <TextField label="Growth a turn, tokens" hint="500" {...form.mean(["conversations", "growth"], readCount)} />
      <TextField label="Shared prompt, tokens" hint="0" {...form.text(["conversations", "shared_system_prompt"], readCount)} />
      <TextField label="Longest context, tokens" hint="no limit" {...form.text(["conversations", "max_context"], readCount)} />
      <Choice label="Router" choices={ROUTERS} {...form.choice(["routing", "policy"], "least-loaded")} />
    </Group>
  );
}
