"""``planner completion``: a script that completes commands and options in a shell."""

from __future__ import annotations

import click

PROGRAM = "planner"
VARIABLE = "_PLANNER_COMPLETE"


@click.command(name="completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print a script that completes planner's commands and options in SHELL.

    Load it in the running shell, or put it where the shell looks for completions.

    \b
    Examples:
      eval "$(planner completion bash)"
      planner completion zsh > "${fpath[1]}/_planner"
      planner completion fish > ~/.config/fish/completions/planner.fish
    """
    from click.shell_completion import ShellComplete, get_completion_class

    from planner.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None
    # The base class writes the same script as bash's own, without asking bash for its version.
    click.echo(ShellComplete.source(kind(cli, {}, PROGRAM, VARIABLE)))
    return 0
