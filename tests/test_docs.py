"""The documentation is complete and true: pictures, options, names, reasons, links, and the commands it shows."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer.main
from typer.testing import CliRunner

import storepulse
from docs import draw
from storepulse import demo
from storepulse.cli import app
from storepulse.kernel.windows import WINDOW_NAMES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("changelog.d/*.md")])
PROGRAM = ".venv/bin/storepulse"


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


# --- pictures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", draw.DRAWN)
def test_a_picture_is_what_the_program_draws_now(name: str) -> None:
    assert (draw.PICTURES / name).read_text(encoding="utf-8") == draw.DRAWN[name]().svg(), "run `make docs`"


def test_every_picture_is_drawn_and_shown() -> None:
    assert {path.name for path in draw.PICTURES.iterdir()} == set(draw.DRAWN)
    shown = set(re.findall(r"\(pictures/([^)]+)\)", text("docs/how-it-works.md")))
    assert shown == set(draw.DRAWN)


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


# --- reference ------------------------------------------------------------------------------------------


def sections(page: str) -> dict[str, str]:
    """Return the parts of a page by their second-level heading."""
    parts = re.split(r"^## (.+)$", text(page), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands() -> dict[str, Any]:
    """Return every command by the words that call it, such as ``keys create``."""
    return dict(commands_of(typer.main.get_command(app)))


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
    options = [option for option in commands()[command].params if option.param_type_name == "option"]
    assert documented == {flag for option in options for flag in (*option.opts, *option.secondary_opts)}


def test_every_window_is_documented() -> None:
    named = re.findall(r"^\| `(\w+)` \|", text("docs/reference/windows.md"), flags=re.MULTILINE)
    assert named == list(WINDOW_NAMES)


@pytest.mark.parametrize("name", storepulse.__all__)
def test_every_name_of_the_library_is_documented(name: str) -> None:
    page = text("docs/reference/library.md")
    assert f"### {name}\n" in page or f"| `{name}` |" in page


def reasons() -> set[str]:
    """Return every reason for which a row is set aside, got by giving such rows."""
    long_id, good = "x" * 300, "2023-01-22 12:09:39 UTC"
    tables = {
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
            ],
            schema=["store_id", "day", "start_time_local", "end_time_local"], orient="row",
        ),
        "timezones": pl.DataFrame({"store_id": ["a", "a"], "timezone_str": ["", "CT"]}),
    }  # fmt: skip
    found = storepulse.validate(**tables).quarantine
    assert found.height == sum(table.height for table in tables.values())
    return set(found["reason"])


def test_every_reason_of_the_quarantine_is_documented() -> None:
    section = sections("docs/reference/input-files.md")["Reasons for the quarantine"]
    cells = re.findall(r"^\| (`.+?`) \|", section, flags=re.MULTILINE)
    documented = [reason for cell in cells for reason in re.findall(r"`([^`]+)`", cell)]
    patterns = [re.escape(reason).replace("…", ".*") for reason in documented]
    found = reasons()
    for reason in found:
        assert any(re.match(pattern, reason) for pattern in patterns), reason
    # Problems of whole lines and of clocks do not occur in tables; their words must at least be in the code.
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/storepulse/ingest").glob("*.py"))
    for reason, pattern in zip(documented, patterns, strict=True):
        in_code = all(part.strip() in code for part in reason.split("…"))
        assert in_code or any(re.match(pattern, given) for given in found), reason


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


def run_shell(code: str, environment: pytest.MonkeyPatch) -> str:
    """Run the lines of a block; ours in this process, because starting one for each takes seconds."""
    printed = ""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line)
        if words[0] == PROGRAM:
            printed += run_ours(words[1:])
        elif words[0] == "export":
            environment.setenv(*words[1].split("=", 1))
        else:
            printed += subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return printed


def run_ours(words: list[str]) -> str:
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def beside_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Stand in an empty folder in which the demo has just left its files; return what sets its environment."""
    demo.make_files(tmp_path / "storepulse-demo")
    (tmp_path / "storepulse-demo" / "storepulse.db").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STOREPULSE_DATABASE_URL", raising=False)
    return monkeypatch


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=name_of)
def test_what_a_page_shows_runs_and_prints_what_the_page_says(page: Path, beside_the_demo: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    for block in blocks(page):
        if block.language == "python":
            exec(compile(block.code, page.name, "exec"), names)
            continue
        printed = run_shell(block.code, beside_the_demo)
        if block.output:
            pattern = re.escape(block.output).replace("…\\\n", "(?:.*\n)*?").replace("…", ".*")
            assert re.fullmatch(pattern, printed), f"{block.code}prints\n{printed}"


@pytest.mark.usefixtures("beside_the_demo")
def test_the_report_on_the_first_screen_is_real() -> None:
    shown = re.search(r"^```csv\n(.*?)^```", text("README.md"), flags=re.MULTILINE | re.DOTALL)
    stores = [word for store_id in demo.SHOWN for word in ("--store", store_id)]
    files = [f"--{kind}=storepulse-demo/{kind}.csv" for kind in ("polls", "hours", "timezones")]
    made = run_ours(["report", *files, "--as-of", "2023-01-25 18:13:22.47922 UTC", *stores])
    assert shown is not None
    assert made == shown[1]
    assert made.splitlines()[0] in text("docs/reference/csv.md")


@pytest.mark.usefixtures("beside_the_demo")
def test_the_table_of_policies_is_measured() -> None:
    section = sections("docs/how-to/choose-a-policy.md")["What the options do to one store"]
    rows = re.findall(r"^\| (?:`(.*?)`|\*\(none\)\*) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", section, re.MULTILINE)
    assert len(rows) == 6
    files = [f"--{kind}=storepulse-demo/{kind}.csv" for kind in ("polls", "hours", "timezones")]
    always = ["--as-of", "2023-01-25 18:13:22.47922 UTC", "--store", "1004", "--window", "last_week", "--detail"]
    for options, *figures in rows:
        made = run_ours(["report", *files, *always, *options.split()])
        assert made.splitlines()[1].split(",")[1:4] == figures, options
