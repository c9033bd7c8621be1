"""Broken files by the hundred: good ones with a seeded change to their structure or their bytes."""

import json
import random

import yaml
from cli_files import LLAMA_1B

SCENARIO = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: 5
prompt_tokens: {mean: 500, cv: 1}
output_tokens: 100
slo: {ttft_p99: 1s, tpot_p99: 60ms}
search: {gpus: [l4], tensor_parallel: [1], weights: [bf16], settings: {max_num_seqs: 64}}
prices: {terms: [on-demand], factors: {l4: 0.9}}
limits: {max_gpus: 50, stock: {l4: 40}, quotas: [{max_gpus: 30, gpu: l4}]}
routing: {policy: random, max_queue: 9}
load: {peak_ratio: 1.2}
assurance: {probability: 0.9}
existing: [{gpu: l4, nodes: 1, gpus_per_node: 4}]
"""
CONFIG = json.dumps({**LLAMA_1B, "rope_scaling": {"factor": 8.0}})
TRACE = "arrival_s,prompt_tokens,output_tokens\n" + "".join(
    f"{i * 0.5},{100 + i},{20 + i}\n" for i in range(20)
)
PRICES = (
    "provider,region,instance_type,gpu,gpu_count,term,usd_per_hour,as_of,source\n"
    "acme,dc-1,own-l4,l4,4,on-demand,2.0,2026-05-01,invoice\n"
    "acme,dc-2,own-l4,l4,8,spot,1.0,2026-05-01,invoice\n"
)
ODD = (
    None,
    True,
    -1,
    0,
    10**30,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "8k",
    "\x1b[31m\a",
    "\u00a0",
    "ключ",
    "=1+1",
    [],
    {},
    [[]],
    [None],
    {"a": {"b": []}},
    "1" * 5000,
    -0.0,
    "2024-01-01",
    ["l4", 4],
    {"mean": None},
    "../../etc/passwd",
    "nan",
)
BYTES = (
    b"\0",
    b"\xff",
    b"\xc2\xa0",
    b"---\n",
    b"{",
    b"]",
    b'"',
    b"\t",
    b"\x1b",
    b"- ",
    b",",
    b"\r",
    b":",
)


def odd_tree(rng, tree):
    """A copy of JSON-like data with one to three places replaced, removed, renamed or doubled."""
    tree = json.loads(json.dumps(tree))
    for _ in range(rng.randint(1, 3)):
        places = [(at, key) for at in _containers(tree) for key in _keys(at)]
        if not places:
            break
        at, key = rng.choice(places)
        match rng.randrange(4):
            case 0 | 1:
                at[key] = rng.choice(ODD)
            case 2:
                del at[key]
            case _ if isinstance(at, dict):
                at[f"{key}{rng.choice('sx_ ')}"] = at.pop(key)
            case _:
                at.append(at[key])
    return tree


def _containers(tree):
    if isinstance(tree, (dict, list)):
        yield tree
        for inner in tree.values() if isinstance(tree, dict) else tree:
            yield from _containers(inner)


def _keys(at):
    return list(at) if isinstance(at, dict) else list(range(len(at)))


def odd_bytes(rng, data):
    """The bytes with one to four cuts, insertions or swaps."""
    for _ in range(rng.randint(1, 4)):
        i = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                data = data[:i]
            case 1:
                data = data[:i] + rng.choice(BYTES) + data[i:]
            case 2:
                j = rng.randrange(len(data) + 1)
                data = data[:i] + data[j : j + 20] + data[i:]
            case _:
                data = data[:i] + bytes([rng.randrange(256)]) + data[i + 1 :]
    return data


def bad_scenario(seed):
    rng = random.Random(seed)
    if rng.random() < 0.6:
        return yaml.safe_dump(odd_tree(rng, yaml.safe_load(SCENARIO)), allow_unicode=True).encode()
    return odd_bytes(rng, SCENARIO.encode())


def bad_json(seed, text):
    rng = random.Random(seed)
    if rng.random() < 0.7:
        return json.dumps(odd_tree(rng, json.loads(text))).encode()
    return odd_bytes(rng, text.encode())


def bad_table(seed, text):
    rng = random.Random(seed)
    if rng.random() < 0.5:
        rows = [line.split(",") for line in text.splitlines()]
        row = rng.choice(rows)
        row[rng.randrange(len(row))] = str(rng.choice(ODD))
        return "\n".join(",".join(r) for r in rows).encode("utf-8", "replace")
    return odd_bytes(rng, text.encode())
