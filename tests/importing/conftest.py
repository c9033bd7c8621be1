"""Files of a running fleet, and the command on them."""

import pytest

from planner.cli.main import main


@pytest.fixture
def run(tmp_path, capsys):
    """Import ``texts`` (file name to text); return exit code, stdout and stderr."""

    def imported(texts, *options):
        paths = []
        for name, text in texts.items():
            path = tmp_path / name
            path.write_text(text, encoding="utf-8")
            paths.append(str(path))
        words = [str(tmp_path / w) if (tmp_path / w).is_file() else w for w in options]
        code = main(["import", *paths, *words])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return imported
