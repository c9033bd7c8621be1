// GPUs of one's own: nodes that run today, GPUs in stock, and what servers would cost to buy and run.

import { byName, type Kind, PLAIN, ranged, SHARE, shown } from "../figures";
import type { FormOf } from "../form";
import { type Plain, valueAt } from "../text";
import type { Names } from "../types";
import { readNumber } from "../units";
import { Complaints, Completions, Group, TextField } from "./fields";

/** Figures of `ownership` in the order one is asked for them: key, label with its unit, and notation. */
const FIGURES: [string, string, Kind][] = [
  ["server_price", "Price of a server, USD", PLAIN],
  ["life", "Life, years", PLAIN],
  ["residual", "Worth at its end", SHARE],
  ["resale", "Worth after 36 months", SHARE],
  ["lead_time", "Delivery, months", PLAIN],
  ["tariff", "Power, USD/kWh", PLAIN],
  ["pue", "PUE", PLAIN],
  ["colocation", "Colocation, USD/kW-month", PLAIN],
  ["network", "Network a year, of price", SHARE],
  ["maintenance", "Upkeep a year, of price", SHARE],
  ["staff", "Staff a year, USD/server", PLAIN],
];
const MOST_NODES = "h100-sxm-80gb"; // of what companies own: what a new entry starts with

export function OwnGpus({ form, names }: { form: FormOf; names: Names | null }) {
  const used = ["existing", "migration", "ownership"].some((field) => (form.value([field], true) ?? null) !== null);
  return (
    <Group title="Own GPUs" open={used} bad={form.bad(["existing", "migration", "ownership", "limits.stock"])}>
      <Existing form={form} />
      <TextField
        label="Overlap, hours"
        hint="0"
        {...form.figure(["migration", "overlap_hours"], PLAIN)}
      />
      <TextField label="GPUs there are, by type" wide hint="no limit, or h100-sxm-80gb: 16" {...form.figure(["limits", "stock"], byName(PLAIN))} />
      <Complaints problems={form.problems(["ownership"], true, true)} />
      <TextField
        label="Server to buy"
        wide
        list="servers"
        hint="the cheapest of the catalog"
        {...form.text(["ownership", "server"], (t) => t.trim(), "", true)}
      />
      {FIGURES.map(([key, label, kind]) => (
        <TextField
          key={key}
          label={label}
          hint={shown(names?.ownership[key], kind)}
          {...form.figure(["ownership", key], ranged(kind))}
        />
      ))}
      <TextField label="Use of its power range" hint="from the load" {...form.figure(["ownership", "utilization"], SHARE)} />
      <p class="quiet wide">
        A figure may have a range: 0.1 (0.06 to 0.3). Buying is compared with renting under Other ways to pay.
      </p>
      <Completions id="servers" names={names?.servers ?? []} />
    </Group>
  );
}

/** Nodes that run today, each kind a part of its own. */
function Existing({ form }: { form: FormOf }) {
  const stated = form.value(["existing"], true);
  const entries = Array.isArray(stated) ? stated : [];
  const write = (next: Plain[]) => form.put(["existing"], next.length ? next : undefined, true);
  return (
    <>
      <Complaints problems={form.problems(["existing"], true, true)} />
      {entries.map((entry, index) => {
        const own = (key: string) => ["existing", index, key];
        const name = String(valueAt(entry, ["gpu"]) ?? "");
        return (
          <fieldset key={index} class="entry wide">
            <legend>
              Nodes that run today, {index + 1}
              <button
                type="button"
                class="link"
                aria-label={`Remove nodes ${index + 1}, ${name}`}
                onClick={() => write(entries.filter((_, i) => i !== index))}
              >
                remove
              </button>
            </legend>
            <div class="fields">
              <TextField label="GPU" wide list="gpus" {...form.text(own("gpu"), (t) => t.trim(), "", true)} />
              <TextField label="Nodes" {...form.text(own("nodes"), readNumber, "", true)} />
              <TextField label="GPUs per node" hint="8" {...form.text(own("gpus_per_node"), readNumber, "", true)} />
              <TextField label="Running cost, USD/h a node" hint="0" {...form.text(own("usd_per_hour"), readNumber, "", true)} />
              <TextField label="Region" hint="own" {...form.text(own("region"), (t) => t.trim(), "", true)} />
            </div>
          </fieldset>
        );
      })}
      <p class="wide">
        <button type="button" onClick={() => write([...entries, { gpu: MOST_NODES, nodes: 1 }])}>
          Add nodes that run today
        </button>
      </p>
    </>
  );
}
