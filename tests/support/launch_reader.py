"""Launch files of a plan, read as their user or their machine would."""

import shlex

from planner.deploy.choices import Choices
from planner.deploy.cluster.yaml_text import read_yaml_stream
from planner.deploy.targets import launch_files


def written(plan, catalog, target, **choices):
    return launch_files(plan, catalog, target, Choices(**choices)).files


def objects(files, kind):
    return [
        o
        for name, text in sorted(files.items())
        if name.endswith((".group.yaml", ".models.yaml", ".service.yaml"))
        for o in read_yaml_stream(text)
        if o["kind"] == kind
    ]


def script(files):
    (name,) = (n for n in files if n.endswith(".sh"))
    return files[name]


def options(text):
    return shlex.split(text.split("\nexec ", 1)[1].replace("\\\n", " "))
