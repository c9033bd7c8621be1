// Ways to serve that may be searched: drafted tokens, KV cache outside the GPU, prefill and decode apart.

import { type FormOf, listed } from "../form";
import { type Plain, valueAt } from "../text";
import { readNumber } from "../units";
import { Checks, Chips, Choice, Complaints, Group, TextField } from "./fields";

const METHODS = ["none", "mtp", "eagle3", "ngram"];
const PLACES = ["node", "zone"];
const POOLS: [string, string][] = [
  ["together", "together"],
  ["either", "together or apart"],
  ["apart", "apart"],
];

export function Techniques({ form }: { form: FormOf }) {
  const used = ["speculative", "disaggregation"].some((f) => (form.value(["search", f]) ?? null) !== null);
  const offloads = (form.value(["search", "settings", "kv_offload"]) ?? null) !== null;
  const fields = ["search.speculative", "search.disaggregation", "search.settings"];
  return (
    <Group title="Ways to serve" open={used || offloads} bad={form.bad(fields)}>
      <Drafts form={form} />
      <KvOffload form={form} />
      <Pools form={form} />
    </Group>
  );
}

/** Speculative decoding: each method that is tried, with its tokens and acceptance. */
function Drafts({ form }: { form: FormOf }) {
  const path = ["search", "speculative"];
  const value = form.value(path);
  const entries = value === undefined || value === null ? [] : listed(value);
  const methods = entries.map(methodOf);
  const others = entries.filter((e) => methodOf(e) === "draft");
  const model = others.length ? String(valueAt(others[0], ["draft"]) ?? "") : "";
  const write = (list: Plain[]) => form.put(path, list.length ? list : undefined);
  const choose = (chosen: string[]) =>
    write([...chosen.map((m) => entries.find((e) => methodOf(e) === m) ?? m), ...others]);
  const setModel = (text: string) => {
    const named = text.trim();
    const kept = entries.filter((e) => methodOf(e) !== "draft");
    const rest = others[0] !== null && typeof others[0] === "object" && !Array.isArray(others[0]) ? others[0] : {};
    write(named ? [...(kept.length ? kept : ["none"]), { ...rest, draft: named }] : kept);
  };
  const put = (index: number, key: string, next: Plain | undefined) => {
    if (Array.isArray(value) && typeof entries[index] === "object") form.put([...path, index, key], next);
    else write(entries.map((e, i) => (i === index ? withKey(e, key, next) : e)));
  };
  return (
    <>
      <Checks
        label="Speculation, each tried"
        choices={METHODS}
        values={value === undefined || value === null ? ["none"] : methods.filter((m) => m !== "draft")}
        problems={form.problems(path)}
        set={choose}
      />
      <TextField label="Draft model" wide hint="none" list="models" value={model} problems={[]} set={setModel} />
      {entries.map((entry, index) => {
        const method = methodOf(entry);
        if (method === "none") return null;
        const tokens = valueAt(entry, ["tokens"]);
        const acceptance = valueAt(entry, ["acceptance"]);
        return (
          <>
            <TextField
              key={`${method}-tokens`}
              label={`${method}: tokens a step`}
              hint="2, 4"
              value={tokens === undefined || tokens === null ? "" : listed(tokens).map(String).join(", ")}
              problems={form.problems([...path, index, "tokens"])}
              set={(text) => {
                const parts = text.split(",").filter((part) => part.trim() !== "");
                put(index, "tokens", parts.length ? parts.map(readNumber) : undefined);
              }}
            />
            <TextField
              key={`${method}-acceptance`}
              label={`${method}: share accepted`}
              hint="as published"
              value={acceptance === undefined || acceptance === null ? "" : String(acceptance)}
              problems={form.problems([...path, index, "acceptance"])}
              set={(text) => put(index, "acceptance", text.trim() === "" ? undefined : readNumber(text))}
            />
          </>
        );
      })}
    </>
  );
}

function methodOf(entry: Plain): string {
  if (typeof entry === "string") return entry;
  const method = valueAt(entry, ["method"]);
  return typeof method === "string" ? method : "draft";
}

/** A method alone stays a name; with something said of it, a mapping. */
function withKey(entry: Plain, key: string, value: Plain | undefined): Plain {
  const fields = entry !== null && typeof entry === "object" && !Array.isArray(entry) ? entry : { method: entry };
  const rest = Object.fromEntries(Object.entries(fields).filter(([k]) => k !== key));
  const changed = value === undefined ? rest : { ...rest, [key]: value };
  return Object.keys(changed).length === 1 && "method" in changed ? (changed["method"] ?? entry) : changed;
}

function KvOffload({ form }: { form: FormOf }) {
  const path = ["search", "settings", "kv_offload"];
  const there = (form.value(path) ?? null) !== null;
  return (
    <>
      <Complaints problems={form.problems(path, false, true)} />
      <TextField label="Host memory for KV" hint="none, or 256GiB" {...form.text([...path, "host_memory"], readNumber)} />
      {there && (
        <>
          <TextField label="Host link, GB/s a GPU" hint="the catalog's" {...form.text([...path, "bandwidth_gb_s"], readNumber)} />
          <TextField label="Disk for KV" hint="none, or 2TiB" {...form.text([...path, "disk"], readNumber)} />
          <TextField label="Disk, GB/s a replica" hint="none" {...form.text([...path, "disk_gb_s"], readNumber)} />
        </>
      )}
    </>
  );
}

/** Prefill and decode on replicas of their own. */
function Pools({ form }: { form: FormOf }) {
  const path = ["search", "disaggregation"];
  const value = form.value(path);
  const off = value === undefined || value === null || value === false;
  const pools = off ? "together" : valueAt(value, ["colocated"]) === false ? "apart" : "either";
  const choose = (chosen: string) => {
    if (chosen === "together") form.put(path, undefined);
    else if (off) form.put(path, chosen === "apart" ? { colocated: false } : true);
    else form.put([...path, "colocated"], chosen === "apart" ? false : undefined);
  };
  return (
    <>
      <Choice
        label="Prefill and decode"
        choices={POOLS}
        value={pools}
        problems={form.problems(path, false, true)}
        set={choose}
      />
      {!off && (
        <>
          <Checks label="A unit stays in one" choices={PLACES} {...form.choices([...path, "within"], PLACES)} />
          <Chips label="Prefill to decode replicas" empty="every ratio up to 4P4D" {...form.names([...path, "ratios"], false, undefined)} />
          <Chips label="Prefill on" empty="the GPUs above" list="gpus" {...form.names([...path, "prefill_gpus"], false, undefined)} />
          <Chips label="Decode on" empty="the GPUs above" list="gpus" {...form.names([...path, "decode_gpus"], false, undefined)} />
          <TextField label="KV link, GB/s a GPU" hint="the catalog's" {...form.text([...path, "kv_link", "gb_s"], readNumber)} />
        </>
      )}
    </>
  );
}
