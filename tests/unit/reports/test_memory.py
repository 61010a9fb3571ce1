"""Writing a report takes no more memory than the documentation promises, however many stores it has."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.writing import report_of
from uphours.reports.writers import FORMATS, write_report, written

ROOT = Path(__file__).parents[3]
STORES = 60_000
MB = 1_000_000
#: What docs/how-to/report-on-more-than-memory.md says: a fixed amount, and of Parquet so much for each store.
FIXED = 50 * MB
BYTES_PER_STORE = {"parquet": 600}


def memory_of_writing(form: str, *words: str) -> int:
    """Return by how much the memory of a process of its own grows at most."""
    command = [sys.executable, "-m", "tests.fixtures.writing", str(STORES), form, *words]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=120)
    growth, size, _seconds = ran.stdout.split()
    assert int(size) > STORES * 20
    return int(growth)


@pytest.mark.slow
@pytest.mark.anywhere
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells what a process had at most")
@pytest.mark.parametrize(
    ("form", "words"), [*((form, ()) for form in FORMATS), ("csv", ("detail",)), ("xlsx", ("detail",))]
)
def test_each_format_is_written_in_the_memory_that_is_promised(form: str, words: tuple[str, ...]) -> None:
    assert memory_of_writing(form, *words) < FIXED + BYTES_PER_STORE.get(form, 0) * STORES


class Pipe(io.RawIOBase):
    """A file in which one cannot go back."""

    def __init__(self) -> None:
        self.content = b""

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        self.content += content
        return len(content)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("stores", [0, 1, 1_000, 2_001])
def test_the_bytes_do_not_depend_on_where_they_go(form: str, stores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uphours.reports.report.STORES_IN_PART", 1_000)
    report, pipe = report_of(stores), Pipe()
    write_report(report, form, pipe)  # type: ignore[arg-type]
    assert pipe.content == written(report, form)
