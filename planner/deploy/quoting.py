"""Command words as each kind of file writes them: nothing in a plan can become syntax."""

from __future__ import annotations

import shlex

from planner.deploy.engines.command_line import Word
from planner.deploy.launch import Launch
from planner.deploy.manifest import EnvironmentVariable

HTTP_PORT = 8000
CONFIG_PATH = "/etc/planner/engine.yaml"
RENDEZVOUS = {"sglang": ":20000"}  # SGLang's processes meet at an address with a port

_SHELL = {
    "PORT": f'"${{PORT:-{HTTP_PORT}}}"',
    "NODE_RANK": '"${NODE_RANK:?number of this node, from 1}"',
    "LEADER_ADDRESS": '"${LEADER_ADDRESS:?address of the first node}"',
}
_CLUSTER = {
    "CONFIG": CONFIG_PATH,
    "NODE_RANK": "$(LWS_WORKER_INDEX)",
    "LEADER_ADDRESS": "$(LWS_LEADER_ADDRESS)",
}


def shell_word(word: Word, launch: Launch, config_name: str) -> str:
    """A word of a POSIX shell command."""
    if isinstance(word, str):
        return shlex.quote(word)
    if word.name == "CONFIG":
        return f'"$here"/{shlex.quote(config_name)}'
    if word.times > 1:
        return f'"$((NODE_RANK * {word.times}))"'
    return _SHELL[word.name] + _meeting_point(word, launch)


def container_word(word: Word, launch: Launch) -> str:
    """A word of a container's arguments, where ``$`` starts an expansion unless doubled."""
    if isinstance(word, str):
        return word.replace("$", "$$")
    if word.name == "PORT":
        return str(launch.port)
    return _CLUSTER[word.name] + _meeting_point(word, launch)


def _meeting_point(word: EnvironmentVariable, launch: Launch) -> str:
    if word.name != "LEADER_ADDRESS":
        return ""
    return RENDEZVOUS.get(launch.dialect.engine, "")
