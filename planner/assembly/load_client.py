"""The command that loads one replica: ``vllm bench serve`` against the endpoint that every engine has."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from planner.scenario.schema import Service
from planner.scenario.task import GENERATE, Task

# docs.vllm.ai cli/bench/serve, 0.11.2 and later
CLIENTS: dict[Task, tuple[str, ...]] = {
    "generate": ("--backend", "openai"),
    "embed": ("--backend", "openai-embeddings", "--endpoint", "/v1/embeddings"),
    "rerank": ("--backend", "vllm-rerank", "--endpoint", "/v1/rerank"),
    "classify": ("--backend", "vllm-pooling", "--endpoint", "/pooling"),
}
PAIRS = "random-rerank"  # its data set of queries with documents
CLASS_KEY = "request_class"  # of a result, by --metadata


@dataclass(frozen=True, slots=True)
class ClientRun:
    """What one client sends: lengths in tokens, at ``rate_qps`` [requests/s], at most ``in_flight`` at once.

    arrival_cv: of the gaps between its requests; result: the file's name; request_class: which all of them
    are of; priority: the number in the body of each, None where the engine's queue is in order of arrival.
    seed: of its own, or the prefix cache would know the prompts of another run.
    """

    model: str
    rate_qps: float
    in_flight: int
    requests: int
    prompt: int
    output: int
    arrival_cv: float
    result: str
    percentiles: tuple[float, ...]
    seed: int
    request_class: str = ""
    priority: int | None = None

    def command(self, service: Service) -> str:
        """The words of the command, quoted for a shell."""
        cached = round(service.assumptions.prefix_hit_share * self.prompt)
        burstiness = 1 / self.arrival_cv**2 if self.arrival_cv not in (0.0, 1.0) else None
        body = None if self.priority is None else json.dumps({"priority": self.priority})
        metadata = f"{CLASS_KEY}={self.request_class}" if self.request_class else None
        words = [
            *("vllm", "bench", "serve", *CLIENTS[service.task]),
            *("--base-url", "http://REPLICA:8000", "--model", self.model),
            *("--dataset-name", PAIRS if service.task == "rerank" else "random"),
            *("--random-input-len", str(self.prompt - cached)),
            *(("--random-prefix-len", str(cached)) if cached else ()),
            *(
                ("--random-output-len", str(self.output), "--ignore-eos")
                if service.task == GENERATE
                else ("--random-batch-size", str(service.prompts_per_call))
            ),
            *("--seed", str(self.seed)),
            *("--num-prompts", str(self.requests), "--request-rate", f"{self.rate_qps:.4g}"),
            *(("--burstiness", f"{burstiness:.4g}") if burstiness else ()),
            *("--max-concurrency", str(self.in_flight)),
            *(("--extra-body", body) if body else ()),
            *(("--metadata", metadata) if metadata else ()),
            "--percentile-metrics",
            "ttft,tpot,itl,e2el" if service.task == GENERATE else "e2el",
            *("--metric-percentiles", ",".join(f"{p:g}" for p in self.percentiles)),
            *("--save-result", "--result-filename", self.result),
        ]
        return shlex.join(words)
