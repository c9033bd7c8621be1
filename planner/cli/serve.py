"""``planner serve``: the planner in a browser, or as a static site."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from planner.cli.shared.names import SCENARIO, set_option
from planner.cli.shared.output_options import catalogs_option
from planner.errors import OutputError

if TYPE_CHECKING:
    from planner.scenario.changes import FieldChange
    from planner.session import Session


@click.command(name="serve")
@click.argument("scenario", required=False, type=SCENARIO)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8123, show_default=True, help="Port."
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Processes that solve.",
)
@click.option(
    "--export",
    "folder",
    type=click.Path(file_okay=False),
    help="Write a static site of SCENARIO's plan and sweeps to this folder instead of serving.",
)
@catalogs_option
@set_option
def command(
    scenario: str | None,
    host: str,
    port: int,
    jobs: int,
    folder: str | None,
    catalogs: str | None,
    changes: tuple[FieldChange, ...],
) -> int:
    """Serve one page that solves as you type: the question on the left, the answer on the right.

    The page opens with SCENARIO: a YAML file, the name of a shipped scenario, or - for stdin. The server
    listens on this machine alone unless --host says otherwise; it has no login, so put one in front of
    it before you do. Scenarios on the page can name uploaded files only.

    \b
    Examples:
      planner serve
      planner serve llama70b_qps50 --port 9000
      planner serve llama70b_qps50 --set rate=80
      planner serve llama70b_qps50 --export site/
    """
    from planner.session import Session

    if changes and scenario is None:
        raise click.UsageError("--set needs a SCENARIO")
    session = Session.open(catalogs, changes=changes)
    if folder is not None:
        if scenario is None:
            raise click.UsageError("--export needs a SCENARIO")
        _export(scenario, folder, session)
        return 0
    text = None if scenario is None else _text_of(scenario, session)
    try:
        import uvicorn

        from planner.web.app import LOOPBACK, create_app
    except ImportError:
        raise OutputError(
            "the page needs an optional package",
            action="pip install 'llm-fleet-planner[web]'",
        ) from None
    from planner.web.limits import ServerLimits

    local = host in ("127.0.0.1", "::1", "localhost")
    app = create_app(
        limits=ServerLimits(workers=jobs),
        catalogs=session.catalog.root,
        scenario=text,
        hosts=LOOPBACK if local else ("*",),
    )
    click.echo(f"planner is at http://{host}:{port}/ (stop with Ctrl-C)", err=True)
    uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=3)
    return 0


def _text_of(scenario: str, session: Session) -> str:
    """The text of a scenario with the session's changes made; what those make wrong is refused here."""
    from planner.scenario.reader import read_scenario
    from planner.scenario.text.changes import scenario_text

    text = scenario_text(scenario, session.changes)
    if session.changes:
        read_scenario(scenario, session.catalog, session.changes)
    return text


def _export(scenario: str, folder: str, session: Session) -> None:
    from pathlib import Path

    from planner.cli.shared.progress import progress
    from planner.web.site import write_site

    with progress() as report:
        written = write_site(scenario, Path(folder), session, report)
    for name in written:
        click.echo(f"{folder.rstrip('/')}/{name}")
