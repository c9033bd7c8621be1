"""The peak within an hour, and the longest request, as a scenario of a running fleet states them."""

import pytest

from planner.importing.load import rate_over_time

HOUR = 3600.0


def test_a_quiet_hour_says_nothing_of_the_peak():
    """Three requests in one minute of a quiet night are no reason for three times as many GPUs by day."""
    windows = []
    for minute in range(24 * 60):
        busy = 6 <= minute // 60 < 20
        rate = 10.0 if busy else 0.02
        if minute == 7 * 60 + 30:
            rate = 12.0
        if minute == 2 * 60:
            rate = 0.5
        windows.append((60.0 * minute, rate))
    found = rate_over_time(windows)
    assert found is not None
    assert found.peak_ratio == pytest.approx(12 / (10 + 2 / 60))
    assert found.peak_qps == 12.0


DUMP = """
# TYPE vllm:request_success_total counter
vllm:request_success_total{model_name="meta-llama/Llama-3.1-8B-Instruct"} 100
vllm:request_prompt_tokens_bucket{model_name="meta-llama/Llama-3.1-8B-Instruct",le="1000.0"} 90
vllm:request_prompt_tokens_bucket{model_name="meta-llama/Llama-3.1-8B-Instruct",le="20000.0"} 100
vllm:request_prompt_tokens_bucket{model_name="meta-llama/Llama-3.1-8B-Instruct",le="+Inf"} 100
vllm:request_prompt_tokens_sum{model_name="meta-llama/Llama-3.1-8B-Instruct"} 90000
vllm:request_prompt_tokens_count{model_name="meta-llama/Llama-3.1-8B-Instruct"} 100
"""
FLEET = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: chat}
spec:
  replicas: 1
  template:
    spec:
      containers:
      - name: vllm
        image: vllm/vllm-openai:v0.19.0
        args: ["--model", "meta-llama/Llama-3.1-8B-Instruct", "--max-model-len", "8192"]
        resources: {limits: {nvidia.com/gpu: "1"}}
"""


def test_lengths_end_where_the_running_servers_refuse(run):
    code, text, _ = run({"a.prom": DUMP, "b.yaml": FLEET}, "--over", "1h", "--gpu", "h100")
    assert code == 0
    (line,) = [line for line in text.splitlines() if "prompt_tokens" in line]
    assert "max: 8192}" in line
    assert line.endswith("no longer request is taken today")


def test_lengths_are_whole_where_a_server_does_not_say(run):
    fleet = FLEET.replace(', "--max-model-len", "8192"', "")
    _, text, _ = run({"a.prom": DUMP, "b.yaml": fleet}, "--over", "1h", "--gpu", "h100")
    assert "max: " not in text


def test_what_runs_in_8_bits_is_permitted(run):
    fleet = FLEET.replace('"8192"]', '"8192", "--kv-cache-dtype", "fp8"]')
    _, text, _ = run({"a.prom": DUMP, "b.yaml": fleet}, "--over", "1h", "--gpu", "h100")
    assert "allow_lower_precision: true" in text
    assert "search: {engines: [vllm], weights: [native], kv_cache: [bf16, fp8]}" in text
    _, text, _ = run({"a.prom": DUMP, "b.yaml": FLEET}, "--over", "1h", "--gpu", "h100")
    assert "allow_lower_precision" not in text
    assert "search: {engines: [vllm]}" in text
