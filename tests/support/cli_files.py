"""Files that commands are tried on."""

from pathlib import Path

SCENARIO = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: 5
prompt_tokens: 500
output_tokens: 100
slo: {ttft_p99: 1s, tpot_p99: 60ms}
search: {gpus: [l4, l40s], tensor_parallel: [1]}
"""


def write(name, content):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)
