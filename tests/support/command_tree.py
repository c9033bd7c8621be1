"""Every command of the command line, groups before what they hold."""

import click

from planner.cli.main import cli


def _commands(parent, path=()):
    for name in parent.list_commands(click.Context(parent)):
        command = parent.get_command(click.Context(parent), name)
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


COMMANDS = list(_commands(cli))
