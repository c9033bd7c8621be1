"""A real headless Chromium, where there is one, and what else tests of the page need."""

import os
import shutil
import subprocess

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


REQUIRED = os.environ.get("PLANNER_REQUIRE_BROWSER") == "1"


def missing(package):
    """Skip for a package of the page-test extra, or fail where everything has to be there."""
    text = f"needs {package}: pip install 'llm-fleet-planner[page-test]'"
    if REQUIRED:
        pytest.fail(text)
    pytest.skip(text)


def chromium(page, folder, *options):
    return subprocess.run(
        [
            CHROMIUM or "chromium",
            *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--disable-background-networking", "--no-first-run", "--disable-sync"),
            f"--user-data-dir={folder}/profile",
            *options,
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
