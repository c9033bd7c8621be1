"""What is in front of prefill and decode pools, and which targets can hold it."""

from __future__ import annotations

from collections.abc import Iterable

from planner.deploy.launch import Launch, PoolRole
from planner.deploy.manifest import Manifest
from planner.deploy.quoting import HTTP_PORT
from planner.errors import InputError

SIDE_CHANNEL_PORT = 5600  # VLLM_NIXL_SIDE_CHANNEL_PORT's default
_OF_POOLS = {
    "sglang": """for url in ${PREFILL_URLS:?http://HOST:PORT of each prefill server}; do
  set -- "$@" --prefill "$url"
done
for url in ${DECODE_URLS:?http://HOST:PORT of each decode server}; do
  set -- "$@" --decode "$url"
done
exec python3 -m sglang_router.launch_router --pd-disaggregation "$@" \\
  --host 0.0.0.0 --port "${PORT:-%d}"
""",
    "vllm": """proxy=tests/v1/kv_connector/nixl_integration/toy_proxy_server.py
exec python3 "${VLLM_SOURCE:?a checkout of vLLM v%s}/$proxy" --port "${PORT:-%d}" \\
  --prefiller-hosts ${PREFILL_HOSTS:?hosts of the prefill servers} \\
  --prefiller-ports ${PREFILL_PORTS:?their ports} \\
  --decoder-hosts ${DECODE_HOSTS:?hosts of the decode servers} \\
  --decoder-ports ${DECODE_PORTS:?their ports}
""",
}


def router_scripts(launches: Iterable[Launch]) -> dict[str, str]:
    """A script per service whose pools need a router in front."""
    files = {}
    for launch in launches:
        if launch.pool is not PoolRole.DECODE:
            continue
        place = "one for each unit" if launch.within == "node" else "one for all units of the zone"
        text = _OF_POOLS[launch.dialect.engine]
        filled = text % (
            (launch.dialect.version, HTTP_PORT) if launch.dialect.engine == "vllm" else HTTP_PORT
        )
        head = (
            f"#!/bin/sh\n# Routes requests to the prefill and decode servers: {place}.\nset -eu\n"
        )
        files[router_name(launch)] = head + filled
    return files


def router_name(launch: Launch) -> str:
    """The router script of a pool's unit."""
    return f"route-{launch.name.removesuffix(f'-{launch.pool.value}')}.sh"


def side_channel(launch: Launch) -> list[str]:
    """What vLLM's KV connector must know of its own machine, as lines of a script."""
    if launch.pool is PoolRole.BOTH or launch.dialect.engine != "vllm":
        return []
    return [
        'export VLLM_NIXL_SIDE_CHANNEL_HOST="${NIXL_HOST:?address of this machine}"',
        f'export VLLM_NIXL_SIDE_CHANNEL_PORT="${{NIXL_PORT:-{SIDE_CHANNEL_PORT}}}"',
    ]


def side_channel_env(launch: Launch) -> list[Manifest]:
    """The same for a container of a cluster."""
    if launch.pool is PoolRole.BOTH or launch.dialect.engine != "vllm":
        return []
    own = {"fieldRef": {"fieldPath": "status.podIP"}}
    return [{"name": "VLLM_NIXL_SIDE_CHANNEL_HOST", "valueFrom": own}]


def must_be_routable(target: str, launches: Iterable[Launch]) -> None:
    """Raise InputError where a target has nothing to route between the pools of a unit."""
    apart = [launch for launch in launches if launch.pool is not PoolRole.BOTH]
    if not apart:
        return
    where = f"service {apart[0].service!r}"
    if target in ("kubernetes", "docker-compose"):
        raise InputError(
            f"--target {target} has no router that sends a prompt to one pool and its answer to another",
            where=where,
            action="use --target llm-d, or the engine's own, which writes the router's script",
        )
    if target == "llm-d":
        wide = next((launch for launch in apart if launch.nodes > 1), None)
        if wide is not None:
            raise InputError(
                "pools whose replicas span nodes are not written for llm-d",
                where=where,
                found=f"{wide.gpus} GPUs over {wide.nodes} nodes",
                action="use the engine's own target",
            )
