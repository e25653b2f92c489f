"""A finished demo home on each database, made for each file by the real command in its own process."""

import itertools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from webapp.cli import main

_count = itertools.count()
SHUZHENG = [sys.executable, "-m", "webapp"]


@dataclass
class Demo:
    """A demo home and how its commands are run."""

    home: Path
    environment: dict[str, str]
    output: str

    @property
    def folder(self) -> Path:
        return self.home / "demo"

    def run(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """A command of this home in its own process."""
        return subprocess.run(
            [*SHUZHENG, *arguments], capture_output=True, text=True, timeout=300, check=False,
            env={**self.environment, **extra},
        )  # fmt: skip

    def at_home(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return self.run(*arguments, "--home", str(self.home), **extra)

    def invoke(self, *arguments: str) -> Result:
        """A command in this process: faster, where no process of its own is needed."""
        return CliRunner(env=self.environment).invoke(main, arguments, catch_exceptions=False)

    def audit(self) -> dict[str, Any]:
        found = self.invoke("audit", "--offline", "--json", "--home", str(self.home))
        return dict(json.loads(found.stdout))


def environment(database_url: str | None = None) -> dict[str, str]:
    """A clean environment: no passphrase, no node, English sentences."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SHUZHENG_", "CHAIN_"))}
    kept.pop("DATABASE_URL", None)
    return {
        **kept,
        "SHUZHENG_LANG": "en",
        **({"DATABASE_URL": database_url} if database_url else {}),
    }


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The finished story on SQLite and on PostgreSQL."""
    home = tmp_path_factory.mktemp("demo") / "home"
    url = None
    if request.param == "postgresql":
        uri = request.getfixturevalue("postgres")
        with psycopg.connect(uri, autocommit=True) as connection:
            name = f"story_{next(_count)}"
            connection.execute(f"CREATE DATABASE {name}")
        url = uri.replace("/postgres?", f"/{name}?")
    made = Demo(home, environment(url), "")
    finished = made.at_home("demo")
    assert finished.returncode == 0, finished.stderr[-3000:]
    made.output = finished.stdout
    return made
