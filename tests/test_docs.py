"""The documentation is complete and true: pictures, options, names, reasons, links, and the commands it shows."""

import os
import re
import shlex
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer.main
from typer.testing import CliRunner

import uphours
from bench import spark
from bench.__main__ import SECTIONS
from docs import draw, tables
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service
from uphours import demo
from uphours.cli.command_line import application
from uphours.kernel.windows import WINDOW_NAMES
from uphours.reports.measure import run_report
from uphours.service import api_docs as openapi
from uphours.service import legacy
from uphours.service.app import create_app
from uphours.settings import Settings, SourceSettings
from uphours.settings import settings as settings_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("changelog.d/*.md")])
PROGRAM = ".venv/bin/uphours"


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


# --- pictures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", draw.DRAWN)
def test_a_picture_is_what_the_program_draws_now(name: str) -> None:
    assert (draw.PICTURES / name).read_text(encoding="utf-8") == draw.DRAWN[name]().svg(), "run `make docs`"


def test_every_picture_is_drawn_and_shown() -> None:
    assert {path.name for path in draw.PICTURES.glob("*.*")} == set(draw.DRAWN)
    pages = text("docs/how-it-works.md") + text("docs/benchmarks.md")
    assert set(re.findall(r"\(pictures/([^)]+)\)", pages)) == set(draw.DRAWN)


def test_every_picture_of_a_page_is_shown() -> None:
    taken = {path.name for path in (draw.PICTURES / "pages").iterdir()}
    assert set(re.findall(r"\(\.\./pictures/pages/([^)]+)\)", text("docs/how-to/use-the-pages.md"))) == taken


# --- tables of what was measured -------------------------------------------------------------------------


def test_the_tables_are_made_of_what_was_measured() -> None:
    shown = []
    for page in tables.PAGES:
        written = page.read_text(encoding="utf-8")
        assert tables.filled(written, tables.results()) == written, "run `make docs`"
        shown += tables.names(written)
    assert sorted(shown) == sorted({**SECTIONS, **spark.SECTIONS})
    assert set(tables.results()) <= set(shown)


# --- links ----------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in anchors(found), f"{target}: {found.name} has no such heading"


def test_every_page_is_in_the_index() -> None:
    index = set(re.findall(r"\]\(([^)#\s]+)", text("docs/README.md")))
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"README.md"}
    assert pages <= index


# --- contributing ---------------------------------------------------------------------------------------


def test_contributing_lists_every_verb_and_every_layer() -> None:
    page = text("CONTRIBUTING.md")
    verbs = re.findall(r"^([a-z-]+):.*?## ", text("Makefile"), flags=re.MULTILINE)
    assert sorted(re.findall(r"^\| `make ([a-z-]+)` \|", page, flags=re.MULTILINE)) == sorted({*verbs} - {"help"})
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    shown = re.search(r"^```\n(__main__\n.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert [re.split(r"\s{2,}", line)[0] for line in shown[1].splitlines()] == contracts[0]["layers"]


# --- reference ------------------------------------------------------------------------------------------


def sections(page: str) -> dict[str, str]:
    """Return the parts of a page by their second-level heading."""
    parts = re.split(r"^## (.+)$", text(page), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@cache
def commands() -> dict[str, Any]:
    """Return every command by the words that call it, such as ``keys create``."""
    return dict(commands_of(typer.main.get_command(application())))


def commands_of(group: Any, *before: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        words = (*before, name)
        if hasattr(command, "commands"):
            yield from commands_of(command, *words)
        else:
            yield " ".join(words), command


def test_the_reference_has_exactly_the_commands_that_there_are() -> None:
    listed = re.findall(r"^\| \[`([\w ]+)`\]", text("docs/reference/cli.md"), flags=re.MULTILINE)
    assert listed == list(commands())


@pytest.mark.parametrize("command", commands())
def test_a_command_is_documented_with_exactly_its_options(command: str) -> None:
    section = sections("docs/reference/cli.md")[command]
    cells = re.findall(r"^\| (`-.+?) \|", section, flags=re.MULTILINE)
    documented = {flag for cell in cells for flag in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", cell)}
    options = [
        option for option in commands()[command].params if option.param_type_name == "option" and not option.hidden
    ]
    assert documented == {flag for option in options for flag in (*option.opts, *option.secondary_opts)}


def test_every_window_is_documented() -> None:
    named = re.findall(r"^\| `(\w+)` \|", text("docs/reference/windows.md"), flags=re.MULTILINE)
    assert named == list(WINDOW_NAMES)


@pytest.mark.parametrize("name", uphours.__all__)
def test_every_name_of_the_library_is_documented(name: str) -> None:
    page = text("docs/reference/library.md")
    assert f"### {name}\n" in page or f"| `{name}` |" in page


def reasons() -> set[str]:
    """Return every reason for which a row is set aside, got by giving such rows."""
    long_id, good = "x" * 300, "2023-01-22 12:09:39 UTC"
    tables: dict[str, Any] = {
        "observations": pl.DataFrame(
            [
                ("", "active", good), (long_id, "active", good), ("a\tb", "active", good),
                ("8.41954E+18", "active", good), ("a", "", good), ("a", "activ", good), ("a", "active", ""),
                ("a", "active", "soon"), ("a", "active", "1999-12-31 23:59:59 UTC"),
                ("a", "active", "2200-01-01 00:00:00 UTC"),
            ],
            schema=["store_id", "status", "timestamp_utc"], orient="row",
        ),
        "business_hours": pl.DataFrame(
            [
                ("a", "", "09:00", "12:00"), ("a", "7", "09:00", "12:00"), ("a", "0", "", "12:00"),
                ("a", "0", "24:00", "12:00"), ("a", "0", "09:00", ""), ("a", "0", "09:00", "noon"),
                ("a", "0", "early", "12:00"),
            ],
            schema=["store_id", "day", "start_time_local", "end_time_local"], orient="row",
        ),
        "timezones": pl.DataFrame({"store_id": ["a", "a", "a"], "timezone_str": ["", "CT", "EST"]}),
        "special_hours": pl.DataFrame(
            [
                ("a", "", "", "", ""), ("a", "Easter", "", "", ""), ("a", "24.12.2026", "", "", ""),
                ("a", "46015", "", "", ""), ("a", "2026-12-24T09:00", "", "", ""), ("a", "1969-12-31", "", "", ""),
                ("a", "2200-01-01", "", "", ""), ("a", "2026-12-24", "9:00", "", ""),
                ("a", "2026-12-24", "", "9:00", ""), ("a", "2026-12-24", "9:00", "17:00", ""),
                ("b", "2026-12-24", "9:00", "17:00", "x" * 256), ("b", "2026-12-25", "24:00", "17:00", ""),
                ("b", "2026-12-26", "9", "17:00", ""), ("b", "2026-12-27", "noon", "evening", ""),
            ],
            schema=["store_id", "date", "start_time_local", "end_time_local", "name"], orient="row",
        ),
        "attributes": pl.DataFrame(
            [
                ("*", "", "", "", ""), ("a", "soon", "", "", ""), ("a", "", "x", "", ""), ("a", "", "", "x", ""),
                ("a", "", "2026-12-24", "2026-12-23", ""), ("a", "", "", "", "x" * 256),
            ],
            schema=["store_id", "valid_from", "first_day", "last_day", "region"], orient="row",
        ),
        "adjustments": pl.DataFrame(
            [
                {"store_id": "a", "start_utc": "2026-12-24", "end_utc": "2026-12-25", "counts_as": "up",
                 "reason": "other"} | changed
                for changed in (
                    {"store_id": "*"}, {"counts_as": ""}, {"counts_as": "x"}, {"reason": ""}, {"reason": "x"},
                    {"start_utc": ""}, {"start_utc": "", "end_utc": ""}, {"start_local": "2026-12-24"},
                    {"start_utc": "x"}, {"end_utc": "x"}, {"end_utc": "2201-01-01"}, {"end_utc": "2026-12-24"},
                    {"counts_as": "withdrawal"}, {"counts_as": "withdrawal", "withdraws": "1"}, {"withdraws": "1"},
                    {"start_utc": "", "end_utc": "", "start_local": "x", "end_local": "2026-12-24"},
                    {"start_utc": "", "end_utc": "", "start_local": "2026-12-24", "end_local": "x"},
                    {"start_utc": "", "end_utc": "", "start_local": "2026-12-24", "end_local": "2026-12-25T1:00Z"},
                    {"start_utc": "", "end_utc": "", "start_local": "2026-12-24", "end_local": "24.12.2026"},
                    {"note": "x" * 4001}, {"entry": "x" * 65}, {"counts_as": "withdrawal", "start_utc": "",
                     "end_utc": "", "withdraws": "x" * 65}, {"entry": "1"}, {"entry": "1", "counts_as": "down"},
                )
            ],
        ),
        "targets": pl.DataFrame(
            [
                ("", "", "99.5", "month", ""), ("x" * 256, "", "99.5", "month", ""), ("a\tb", "", "99.5", "month", ""),
                ("a", "", "much", "month", ""), ("a", "", ".995", "month", ""), ("a", "", "99,5", "month", ""),
                ("a", "", "99.9999", "month", ""), ("a", "", "101", "month", ""), ("a", "", "99.5", "", ""),
                ("a", "", "99.5", "year", ""), ("a", "TX", "99.5", "month", ""),
                ("a", "region=" + "x" * 4000, "99.5", "month", ""), ("a", "region=T\tX", "99.5", "month", ""),
                ("a", "", "99.5", "month", "soon"),
            ],
            schema=["name", "where", "target", "period", "valid_from"], orient="row",
        ),
    }  # fmt: skip
    heights = sum(table.height for table in tables.values())
    found = uphours.validate(**tables)
    assert len(found.quarantine) == heights
    return set(found.quarantine["reason"])


def test_every_reason_of_the_quarantine_is_documented() -> None:
    section = sections("docs/reference/input-files.md")["Reasons for the quarantine"]
    cells = re.findall(r"^\| (`.+?`) \|", section, flags=re.MULTILINE)
    documented = [reason for cell in cells for reason in re.findall(r"`([^`]+)`", cell)]
    patterns = [re.escape(reason).replace("…", ".*") for reason in documented]
    found = reasons()
    for reason in found:
        assert any(re.match(pattern, reason) for pattern in patterns), reason
    # Problems of whole lines and of clocks do not occur in tables; their words must at least be in the code.
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/uphours/ingest").rglob("*.py"))
    for reason, pattern in zip(documented, patterns, strict=True):
        in_code = all(part.strip() in code for part in reason.split("…"))
        assert in_code or any(re.match(pattern, given) for given in found), reason


# --- the service ----------------------------------------------------------------------------------------


@cache  # it takes a second to make
def operations() -> dict[str, Any]:
    """Return what the service can be asked, by verb and path; of the earlier systems there is a page of their own."""
    document = openapi.document(create_app(Settings(database_url="sqlite:///never-opened.db")))
    return {
        f"{verb.upper()} {path}": operation | {"body": body_of(document, operation)}
        for path, verbs in document["paths"].items()
        for verb, operation in verbs.items()
        if "earlier systems" not in operation["tags"]
    }


def body_of(document: Any, operation: Any) -> set[str]:
    """Return the fields of a JSON body that has a schema of its own."""
    found = re.search(r"#/components/schemas/(\w+)", str(operation.get("requestBody", "")))
    return set(document["components"]["schemas"][found[1]]["properties"]) if found else set()


def parts_of(page: str) -> dict[str, str]:
    """Return the parts of a page by their third-level heading."""
    parts = re.split(r"^### (.+)$", re.sub(r"^## .+?(?=^#|\Z)", "", text(page), flags=re.M | re.S), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


HTTP_API = "docs/reference/http-api.md"
VIEW = "What a view is asked for"


def test_the_reference_has_exactly_the_operations_that_there_are() -> None:
    assert {heading.strip("`") for heading in parts_of(HTTP_API)} - {VIEW} == set(operations())


def test_an_operation_is_documented_with_exactly_its_parameters() -> None:
    parts = parts_of(HTTP_API)
    for operation, found in operations().items():
        section = parts[f"`{operation}`"]
        if re.search(rf"\(#{VIEW.lower().replace(' ', '-')}\)(\.|, and:)", section):
            section += parts[VIEW]
        documented = set(re.findall(r"^\| `([\w-]+)` \| (path|query|header) \|", section, flags=re.MULTILINE))
        assert {(name.lower(), place) for name, place in documented} == {
            (one["name"], one["in"]) for one in found.get("parameters", [])
        }, operation
        for name in found["body"]:
            assert re.search(rf"^\| .*`{name}`.* \|", section, flags=re.MULTILINE), f"{operation}: {name}"


def table(section: str) -> list[list[str]]:
    """Return the rows of the tables in a section, without their headings."""
    rows = [line for line in section.splitlines() if re.match(r"\| (`|\|)", line)]
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in rows]


def test_every_setting_is_documented_with_its_name_in_the_environment_and_its_meaning() -> None:
    page = text("docs/reference/settings.md").partition("## A source")[0]
    documented = [(name, variable, meaning) for name, variable, _type, _default, meaning in table(page)]
    assert documented == [
        (f"`{name}`", f"`UPHOURS_{name.upper()}`", field.description) for name, field in Settings.model_fields.items()
    ]


def test_the_default_of_a_setting_is_the_one_that_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, variable, _type, default, _meaning in table(
        text("docs/reference/settings.md").partition("## A source")[0]
    ):
        monkeypatch.delenv(variable.strip("`"), raising=False)
        unless_given = getattr(settings_of(), name.strip("`"))
        if not default:
            assert unless_given is None
            continue
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(variable.strip("`"), default.strip("`"))
            assert getattr(settings_of(), name.strip("`")) == unless_given, name


def test_every_field_of_a_source_is_documented() -> None:
    rows = table(sections("docs/reference/settings.md")["A source"])
    expected = [(f"`{name}`", field.description) for name, field in SourceSettings.model_fields.items()]
    assert [(name, meaning) for name, _default, meaning in rows] == expected


def test_every_dialect_of_the_earlier_systems_is_documented() -> None:
    page = text("docs/reference/earlier-systems.md").partition("## Columns")[0]
    assert [row[:5] for row in table(page)] == [
        [
            f"`{one.name}`",
            ", ".join(f"`{verb}`" for verb in one.trigger[0]) + f" `{one.trigger[1]}`",
            ", ".join(f"`{name}`" for name, _value in one.triggered),
            f"`{one.poll}`",
            ", ".join(f"`{word}`" for word in (one.running, one.complete, one.failed)),
        ]
        for one in legacy.DIALECTS
    ]
    files = [row[5] for row in table(page)]
    for dialect, cell in zip(legacy.DIALECTS, files, strict=True):
        expected = "the same URL" if dialect.fetch is None else f"`{dialect.fetch}`"
        assert cell == expected + (", in `csv_file`" if dialect.inline else "")


def test_every_column_of_the_earlier_systems_is_documented_with_its_unit() -> None:
    polls = pl.DataFrame({"store_id": ["1"], "status": ["active"], "timestamp_utc": ["2023-01-25 12:00:00 UTC"]})
    made = run_report(uphours.validate(polls).fleet)
    expected = [(column.title, column.unit) for dialect in legacy.DIALECTS for column in dialect.columns(made)]
    rows = table(sections("docs/reference/earlier-systems.md")["Columns"])
    assert [(title.strip("`"), unit) for _dialect, title, unit in rows] == expected
    assert [name.strip("`") for name, *_rest in rows if name] == [dialect.name for dialect in legacy.DIALECTS]


# --- commands and programs that the pages show ----------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A fenced block that is marked as runnable, and what it prints where the page says so.

    A line of `…` stands for any lines, `…` inside a line for any text.
    """

    language: str
    code: str
    output: str | None


def blocks(page: Path) -> list[Block]:
    fence = re.compile(
        r"^```(sh|python) runnable\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", flags=re.MULTILINE | re.DOTALL
    )
    return [Block(*match) for match in fence.findall(page.read_text(encoding="utf-8"))]


#: Where the pages say that the service is; in a test it is on a free port.
ADDRESS = "http://127.0.0.1:8000"


class Services:
    """Runs the service that a page starts, until the page has been gone through."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: Service | None = None

    def start(self, *words: str) -> None:
        assert not words, "a page that is run starts the service as it is"
        database = os.environ.get("UPHOURS_DATABASE_URL", f"sqlite:///{Path.cwd() / 'uphours.db'}")
        self._running = self._stack.enter_context(service_threads(Path.cwd(), workers=1, database_url=database))

    def placed(self, code: str) -> str:
        """Return a block with the address at which the service is."""
        if ADDRESS not in code:
            return code
        assert self._running is not None, "the page does not start the service"
        return code.replace(ADDRESS, self._running.url)


def run_shell(code: str, environment: pytest.MonkeyPatch, services: Services) -> str:
    """Run the lines of a block; ours in this process, because starting one for each takes seconds."""
    if "curl" in code:
        ran = subprocess.run(
            ["sh", "-euc", services.placed(code)], check=True, capture_output=True, text=True, timeout=120
        )
        return ran.stdout.rstrip("\n") + "\n"  # an answer ends without a line break
    printed = ""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line)
        if words[:2] == [PROGRAM, "serve"]:
            services.start(*words[2:])
        elif words[0] == PROGRAM:
            printed += run_ours(words[1:])
        elif words[0] == "export":
            environment.setenv(*words[1].split("=", 1))
        else:
            printed += subprocess.run(["sh", "-euc", line], check=True, capture_output=True, text=True).stdout
    return printed


def run_ours(words: list[str]) -> str:
    result = CliRunner().invoke(application(), words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def beside_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Stand in an empty folder in which the demo has just left its files; return what sets its environment."""
    demo.make_files(tmp_path / "uphours-demo")
    (tmp_path / "uphours-demo" / "uphours.db").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UPHOURS_DATABASE_URL", raising=False)
    return monkeypatch


@pytest.fixture
def services() -> Iterator[Services]:
    with ExitStack() as stack:
        yield Services(stack)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=name_of)
def test_what_a_page_shows_runs_and_prints_what_the_page_says(
    page: Path, beside_the_demo: pytest.MonkeyPatch, services: Services
) -> None:
    names: dict[str, Any] = {}
    for block in blocks(page):
        if block.language == "python":
            exec(compile(services.placed(block.code), page.name, "exec"), names)
            continue
        printed = run_shell(block.code, beside_the_demo, services)
        if block.output:
            pattern = re.escape(block.output).replace("…\\\n", "(?:.*\n)*?").replace("…", ".*")
            assert re.fullmatch(pattern, printed), f"{block.code}prints\n{printed}"


def curl_blocks() -> list[str]:
    return [block.code for block in blocks(ROOT / "README.md") if "curl" in block.code]


def gone_wrong(code: str, folder: Path, url: str) -> str:
    """Run lines that cannot work; they must end soon, fail, and leave nothing. Return what they say."""
    for shell in (["sh", "-c"], ["sh", "-euc"]):
        ran = subprocess.run(
            [*shell, code.replace(ADDRESS, url)], cwd=folder, capture_output=True, text=True, timeout=30, check=False
        )
        assert ran.returncode != 0, (code, ran.stdout)
        assert not (folder / "report.csv").exists()
    return ran.stderr


def test_the_curl_lines_of_the_readme_fail_where_no_service_is_up(tmp_path: Path) -> None:
    assert len(curl_blocks()) == 2
    with socket.socket() as taken:  # a port on which nobody answers
        taken.bind(("127.0.0.1", 0))
        for code in curl_blocks():
            said = gone_wrong(code, tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}")
            assert re.search(r"curl: \(7\) ", said)


@pytest.mark.slow
def test_the_curl_lines_of_the_readme_fail_where_a_key_is_asked_for(
    beside_the_demo: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_ours(["keys", "create", "test", "--scope", "read"])
    with service_threads(tmp_path, require_key="true") as running:
        for code in curl_blocks():
            assert "401" in gone_wrong(code, tmp_path, running.url)


@pytest.mark.usefixtures("beside_the_demo")
def test_the_report_on_the_first_screen_is_real() -> None:
    shown = re.search(r"^```csv\n(.*?)^```", text("README.md"), flags=re.MULTILINE | re.DOTALL)
    stores = [word for store_id in demo.SHOWN for word in ("--store", store_id)]
    files = [f"--{kind}=uphours-demo/{kind}.csv" for kind in ("polls", "hours", "timezones")]
    made = run_ours(["report", *files, "--as-of", "2023-01-25 18:13:22.47922 UTC", *stores])
    assert shown is not None
    assert made == shown[1]
    assert made.splitlines()[0] in text("docs/reference/csv.md")


@pytest.mark.usefixtures("beside_the_demo")
def test_the_table_of_policies_is_measured() -> None:
    section = sections("docs/how-to/choose-a-policy.md")["What the options do to one store"]
    rows = re.findall(r"^\| (?:`(.*?)`|\*\(none\)\*) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", section, re.MULTILINE)
    assert len(rows) == 7
    files = [f"--{kind}=uphours-demo/{kind}.csv" for kind in ("polls", "hours", "timezones")]
    always = ["--as-of", "2023-01-25 18:13:22.47922 UTC", "--store", "1004", "--window", "last_week", "--detail"]
    for options, *figures in rows:
        made = run_ours(["report", *files, *always, *options.split()])
        assert made.splitlines()[1].split(",")[1:4] == figures, options
