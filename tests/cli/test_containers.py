"""What Dockerfile and compose.yaml say is done here without Docker: the build, the start, the health check."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml
from sqlalchemy import URL, make_url

import uphours
from tests.fixtures import databases, tables
from tests.fixtures.commands import environment, start
from tests.fixtures.own_servers import free_port
from tests.fixtures.services import in_ci, in_time
from uphours.client import Client
from uphours.settings import Settings

pytestmark = pytest.mark.anywhere

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
GUIDE: Final = (ROOT / "docs/how-to/run-with-docker.md").read_text(encoding="utf-8")
OURS: Final = [name for name, service in COMPOSE["services"].items() if service["image"] == "uphours"]
#: What the image says about its own folders: here others take their place.
OF_THE_IMAGE: Final = {"PATH", "NUMBA_CACHE_DIR"}
#: Test machines are slow, and several processes start here at once.
STARTED_S: Final = 300.0
#: What makes an image good and a test slow.
SLOW: Final = {"UV_NO_CACHE", "UV_LINK_MODE", "UV_COMPILE_BYTECODE"}


def stages() -> list[list[tuple[str, str]]]:
    """Return the instructions of the Dockerfile, by stage: each an uppercase word and what follows it."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    found: list[list[tuple[str, str]]] = [[]]
    for word, _, rest in (line.partition(" ") for line in lines):
        if word == "FROM":
            found.append([])
        found[-1].append((word, " ".join(rest.split())))
    return found[1:]


BUILD, IMAGE = stages()


def all_of(stage: Sequence[tuple[str, str]], word: str) -> list[str]:
    return [rest for name, rest in stage if name == word]


def variables(stage: Sequence[tuple[str, str]]) -> dict[str, str]:
    pairs = (pair.partition("=") for rest in all_of(stage, "ENV") for pair in rest.split())
    return {name: value for name, _, value in pairs}


def health_check() -> list[str]:
    (check,) = all_of(IMAGE, "HEALTHCHECK")
    words: list[str] = json.loads(check.partition("CMD ")[2])
    return words


# --- what the files say -------------------------------------------------------------------------------


def test_the_image_runs_as_a_user_without_rights_whose_number_is_fixed() -> None:
    *_, user = all_of(IMAGE, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert f"--uid {user.partition(':')[0]} " in " ".join(all_of(IMAGE, "RUN"))


def test_the_image_is_built_with_the_tool_and_the_extras_of_this_project() -> None:
    version = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert version is not None
    assert any(run.endswith(f" uv=={version[1]}") for run in all_of(BUILD, "RUN"))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for run in (run for run in all_of(BUILD, "RUN") if "uv sync" in run):
        # Spark is larger than all the rest and needs Java: who has a cluster has an image for it.
        assert set(re.findall(r"--extra (\S+)", run)) == set(extras) - {"spark"}


def test_what_is_copied_into_the_build_is_not_left_out_of_it() -> None:
    wanted = {name for copy in all_of(BUILD, "COPY") for name in copy.split()[:-1]}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == wanted
    assert "*" in ignored


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_container_can_do_little_and_holds_no_secret_in_its_environment(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    for variable, value in service["environment"].items():
        assert "PASSWORD" not in variable or variable.endswith("_FILE")
        if variable.endswith("_FILE"):
            assert value.removeprefix("/run/secrets/") in service["secrets"]
    assert set(service["secrets"]) <= set(COMPOSE["secrets"])


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_waits_for_the_database_and_is_told_settings_that_exist(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["depends_on"] == {"database": {"condition": "service_healthy"}}
    for variable in service["environment"]:
        assert variable.removeprefix("UPHOURS_").removesuffix("_FILE").lower() in Settings.model_fields


def test_the_secrets_are_made_where_compose_looks_for_them_and_in_no_commit() -> None:
    for secret in COMPOSE["secrets"].values():
        assert secret["file"].removeprefix("./") in GUIDE
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()


# --- what the commands do -----------------------------------------------------------------------------


@dataclass
class Deployment:
    """The containers of compose.yaml as processes: their commands and environment, on a database and a port of here."""

    folder: Path
    database_url: URL
    port: int

    def words(self, name: str, *arguments: str) -> list[str]:
        service = COMPOSE["services"][name]
        return [*service.get("entrypoint", []), *(arguments or service["command"])]

    def environment(self, name: str) -> dict[str, str]:
        secret = self.folder / "database-url"
        secret.write_text(self.database_url.render_as_string(hide_password=False) + "\n", encoding="utf-8")
        here = {"UPHOURS_DATABASE_URL_FILE": str(secret)}
        of_image = {key: value for key, value in variables(IMAGE).items() if key not in OF_THE_IMAGE}
        given = of_image | COMPOSE["services"][name]["environment"] | here | {"UPHOURS_PORT": str(self.port)}
        return environment(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}", **given)

    def run(self, name: str, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self.folder, env=self.environment(name), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=STARTED_S, check=False,
        )  # fmt: skip

    def first_key(self) -> str:
        """Make the key as the guide says, and return its token."""
        command = re.search(r"^docker compose run --rm cli (keys create .+)$", GUIDE, flags=re.MULTILINE)
        assert command is not None
        ran = self.run("cli", self.words("cli", *command[1].split()))
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    @contextmanager
    def up(self, *names: str) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Run the commands of these containers for the length of a block; each must end well when it is asked to."""
        running, logs = [], []
        try:
            for place, name in enumerate(names):
                logs.append(self.folder / f"{place}-{name}.log")
                with logs[-1].open("wb") as sink:
                    process = subprocess.Popen(
                        self.words(name), cwd=self.folder, env=self.environment(name), stdin=subprocess.DEVNULL,
                        stdout=sink, stderr=sink,
                    )  # fmt: skip
                running.append(process)
            yield running
            for process in running:
                process.terminate()
            assert {process.wait(60) for process in running} == {0}, "".join(log.read_text() for log in logs)
        finally:
            for process in running:
                process.kill()
                process.wait()
        assert not any(str(self.database_url.password) in log.read_text() for log in logs)

    def healthy(self) -> bool:
        return self.run("api", health_check()).returncode == 0

    def becomes_healthy(self, process: subprocess.Popen[bytes]) -> bool:
        return in_time(lambda: self.healthy() or process.poll() is not None, STARTED_S) and process.poll() is None


@pytest.fixture
def deployment(engine: str, tmp_path: Path) -> Deployment:
    """A database without tables and a free port."""
    url = make_url(databases.url_in(tmp_path, fresh=True))
    assert url.drivername == engine == "postgresql"
    # Where the server trusts everybody, any password does.
    return Deployment(tmp_path, url.set(password=url.password or "not-in-any-log"), free_port())


on_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True, scope="session")


@pytest.mark.slow
@on_postgresql
def test_before_there_is_a_key_the_api_does_not_start_and_says_how_to_make_one(deployment: Deployment) -> None:
    ran = deployment.run("api", deployment.words("api"))
    assert ran.returncode == 2
    assert "there is no API key; `uphours keys create NAME --scope admin` makes one" in ran.stderr


@pytest.mark.slow
@on_postgresql
def test_files_sent_with_the_first_key_become_a_report_that_the_workers_made(deployment: Deployment) -> None:
    folder = deployment.folder
    files = {kind: tables.write(folder / f"{kind}.csv", content) for kind, content in list(tables.CONTENTS.items())[:3]}
    token = deployment.first_key()
    with deployment.up("api", "worker", "worker") as running:
        assert deployment.becomes_healthy(running[0])
        with Client(f"http://127.0.0.1:{deployment.port}", token) as client:
            loaded = client.load(polls=[files["polls"]], hours=[files["hours"]], timezones=[files["timezones"]])
            assert loaded["accepted"] == 8
            report = client.report(timeout=STARTED_S)
    words = [word for kind, name in files.items() for word in (f"--{kind}", name)]
    assert report == start(folder, "report", *words).stdout != b""


@pytest.mark.slow
@on_postgresql
def test_the_health_check_passes_while_the_api_runs_and_fails_when_it_is_stopped(deployment: Deployment) -> None:
    deployment.first_key()
    assert not deployment.healthy()
    with deployment.up("api") as running:
        assert deployment.becomes_healthy(running[0])
    assert not deployment.healthy()


# --- what the build does ------------------------------------------------------------------------------

#: A user that can write nowhere, and sees only what everybody may see.
NOBODY: Final = 65534


def without_rights(*words: str, folder: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run something as a user without a home, if this one may become another."""
    user = None if os.getuid() else NOBODY
    return subprocess.run(
        words, cwd="/", env={"HOME": "/nonexistent", "PATH": f"{folder / 'bin'}:/usr/bin:/bin"}, input=stdin,
        capture_output=True, text=True, timeout=STARTED_S, check=False, user=user, group=user,
        extra_groups=None if user is None else [],
    )  # fmt: skip


def python_for_everybody() -> str:
    """Return a Python that any user of this machine can run."""
    for path in dict.fromkeys((sys.executable, "/usr/bin/python3")):
        try:
            real = str(Path(path).resolve())
            ran = without_rights(real, "-c", "import sys; sys.exit(sys.version_info < (3, 11))", folder=Path("/"))
        except OSError:
            continue
        if ran.returncode == 0:
            return real
    message = "no Python 3.11 or newer of this machine can be run by every user"
    if in_ci():
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def installed() -> Iterator[Path]:
    """Do what the first stage of the Dockerfile does, in folders of here; return where the packages are."""
    with tempfile.TemporaryDirectory() as name:  # not under pytest's, which is closed to other users
        folder = Path(name)
        folder.chmod(0o755)
        packages, sources = folder / "packages", folder / "build"
        sources.mkdir()
        replaced = {"UV_PROJECT_ENVIRONMENT": str(packages), "UV_PYTHON": python_for_everybody()}
        given = {key: value for key, value in variables(BUILD).items() if key not in SLOW} | replaced
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        inherited = {key: value for key, value in environment(PATH=path).items() if key != "VIRTUAL_ENV"}
        for word, rest in BUILD:
            if word == "COPY":
                for source in rest.split()[:-1]:
                    copied = ROOT / source
                    if copied.is_dir():
                        ignored = shutil.ignore_patterns("__pycache__")
                        shutil.copytree(copied, sources / source, ignore=ignored)
                    else:
                        shutil.copy(copied, sources)
            elif word == "RUN" and not rest.startswith("pip install"):
                subprocess.run(["sh", "-euc", rest], cwd=sources, env=inherited | given, check=True, timeout=300)
        shutil.rmtree(sources)  # the image has the packages alone
        yield packages


@pytest.mark.slow
def test_what_the_build_installs_works_for_a_user_who_can_write_nowhere(installed: Path) -> None:
    asked = without_rights("uphours", "--version", folder=installed)
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, f"{uphours.__version__}\n", "")
    drivers = without_rights("python", "-c", "import psycopg, pymysql, obstore", folder=installed)
    assert (drivers.returncode, drivers.stderr) == (0, "")
    made = without_rights("uphours", "report", "--polls", "-", folder=installed, stdin=tables.POLLS)
    assert (made.returncode, made.stdout.count("\n")) == (0, 3), made.stderr
