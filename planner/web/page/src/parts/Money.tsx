// How long the question looks and how it is paid: horizon and growth, discounts, what comes on top of GPUs.

import { byName, PLAIN, ranged, SHARE, shown } from "../figures";
import type { FormOf } from "../form";
import type { Names } from "../types";
import { readNumber } from "../units";
import { Checks, Chips, Choice, Complaints, Group, TextField } from "./fields";

const TIERS = ["hyperscaler", "cloud", "marketplace"];
const CONFIDENCE: [string, string][] = ["high", "medium", "low"].map((c) => [c, c]);
const NEEDS: [string, string][] = [
  ["", "not said"],
  ["continues", "continues"],
  ["ends", "ends with it"],
];
const EXTRAS: [string, string, string][] = [
  ["egress", "gb_per_month", "usd_per_gb"],
  ["storage", "gb", "usd_per_gb_month"],
];
const EXTRA_LABELS: Record<string, [string, string]> = {
  egress: ["Egress, GB a month", "Egress, USD/GB"],
  storage: ["Storage, GB", "Storage, USD/GB-month"],
};

export function PricesAndLimits({ form, names }: { form: FormOf; names: Names | null }) {
  return (
    <Group title="Prices and limits" bad={form.bad(["prices", "limits", "failures"])}>
      <Checks label="Terms" choices={names?.terms ?? []} {...form.choices(["prices", "terms"], ["on-demand"], true)} />
      <Checks label="Kinds of provider" choices={TIERS} {...form.choices(["prices", "tiers"], TIERS.slice(0, 2), true)} />
      <Choice label="Least confidence" choices={CONFIDENCE} {...form.choice(["prices", "confidence"], "medium", true)} />
      <TextField label="Providers at most" hint="any number" {...form.text(["prices", "max_vendors"], readNumber, "", true)} />
      <Chips label="Providers" empty="all" list="providers" {...form.names(["prices", "providers"], true)} />
      <Chips label="Regions" empty="all" list="regions" {...form.names(["prices", "regions"], true)} />
      <TextField label="Discounts" wide hint="none, or aws: 18 %" {...form.figure(["prices", "discounts"], byName(SHARE))} />
      <TextField label="Most GPUs" hint="no limit" {...form.text(["limits", "max_gpus"], readNumber, "", true)} />
      <TextField label="Most USD per hour" hint="no limit" {...form.text(["limits", "max_cost_usd_per_hour"], readNumber, "", true)} />
      <TextField label="Replicas that may fail" hint="0" {...form.text(["failures", "replicas"], readNumber, "", true)} />
      <TextField label="Nodes that may fail" hint="0" {...form.text(["failures", "nodes"], readNumber, "", true)} />
    </Group>
  );
}

export function MoneyAndTime({ form, names }: { form: FormOf; names: Names | null }) {
  const used = ["horizon", "extras"].some((field) => (form.value([field], true) ?? null) !== null);
  return (
    <Group title="Money and time" open={used} bad={form.bad(["horizon", "extras", "ownership.discount_rate"])}>
      <Complaints problems={form.problems(["horizon"], true, true)} />
      <TextField label="Horizon, months" hint="36" {...form.text(["horizon", "months"], readNumber, "", true)} />
      <TextField label="Growth a month" hint="0 %" {...form.figure(["horizon", "growth_per_month"], SHARE)} />
      <TextField label="Stages to order in" hint="1" {...form.text(["horizon", "stages"], readNumber, "", true)} />
      <Choice label="Need after it" choices={NEEDS} {...form.choice(["horizon", "need"], "", true)} />
      <TextField
        label="Lead time by term, months"
        wide
        hint="none, or 3-year: 6"
        {...form.figure(["horizon", "lead_time_months"], byName(PLAIN))}
      />
      {EXTRAS.map(([kind, amount, price]) => (
        <Extra key={kind} form={form} kind={kind} amount={amount} price={price} />
      ))}
      <Complaints problems={form.problems(["extras", "support"], true, true)} />
      <TextField label="Support, share of cost" hint="0 %" {...form.figure(["extras", "support", "share"], SHARE)} />
      <TextField
        label="Support, USD at least"
        hint="0"
        {...form.figure(["extras", "support", "least_usd_per_month"], PLAIN)}
      />
      <TextField
        label="Discount rate a year"
        hint={shown(names?.ownership["discount_rate"], SHARE)}
        {...form.figure(["ownership", "discount_rate"], ranged(SHARE))}
      />
    </Group>
  );
}

/** An amount and its price, which are stated together. */
function Extra({ form, kind, amount, price }: { form: FormOf; kind: string; amount: string; price: string }) {
  const [amountLabel, priceLabel] = EXTRA_LABELS[kind] ?? [kind, kind];
  return (
    <>
      <Complaints problems={form.problems(["extras", kind], true, true)} />
      <TextField label={amountLabel} hint="none" {...form.figure(["extras", kind, amount], PLAIN)} />
      <TextField label={priceLabel} hint="none" {...form.figure(["extras", kind, price], PLAIN)} />
    </>
  );
}
