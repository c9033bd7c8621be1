"""Commands run for their refusals, each test in a folder of its own."""

import io
import sys

import pytest

from planner.cli.main import main


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refused(capsys):
    """Run the command line; check what holds for every refusal; return the message."""

    def run(*args, code=2):
        found = main(args)
        out, err = capsys.readouterr()
        assert found == code, err or out
        assert out == ""
        assert err.startswith(("error: ", "Usage: "))
        for word in ("Traceback", "internal error"):
            assert word not in err
        return err

    return run


@pytest.fixture
def on_stdin(monkeypatch):
    """Put text or bytes on standard input."""

    def give(text):
        data = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give
