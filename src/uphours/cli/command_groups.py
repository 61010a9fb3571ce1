"""The list of commands in `uphours --help`: in groups, each with its whole first sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from typer.core import TyperGroup


class Listed(NamedTuple):
    """The module of this package that a command is in, and the first sentence of its help.

    In its module a command is a function of its name, a group of commands is called ``app``.
    """

    module: str
    sentence: str


#: The commands under each title. The list is written without importing any of them.
GROUPS: Final[Mapping[str, Mapping[str, Listed]]] = {
    "Look": {
        "demo": Listed("tour", "Load a made-up fleet, and explain one of its stores that had trouble."),
        "report": Listed(
            "reporting", "Report uptime and downtime of every store, from the database or straight from files."
        ),
        "explain": Listed("reporting", "Show how one store's numbers come about."),
        "stores": Listed("records", "List the stores that are known."),
        "calendar": Listed(
            "ledger_entries", "Show when a store is scheduled, day by day, and where the hours of each day come from."
        ),
        "targets": Listed(
            "budgets",
            "Show how much of the downtime that targets allow is left, and the stores that are below their target.",
        ),
    },
    "Load and adjust": {
        "load": Listed("reporting", "Load files into the database: CSV, JSON Lines or Parquet."),
        "loads": Listed("records", "List what was loaded, the newest load first."),
        "quarantine": Listed(
            "records",
            "Count the rejected rows by file and cause, the most frequent cause first; --rows lists them.",
        ),
        "import": Listed("calendars", "Read opening hours of other systems."),
        "holidays": Listed("calendars", "Write special hours for the public holidays of a country or region."),
        "adjust": Listed("ledger_entries", "Let time of stores count differently: an entry in the ledger."),
        "adjustments": Listed("ledger_entries", "List the entries of the ledger, the newest first."),
        "withdraw": Listed(
            "ledger_entries", "Take an entry of the ledger back: figures are as if it had never been entered."
        ),
    },
    "Serve": {
        "serve": Listed("service", "Serve reports over HTTP, with workers."),
        "worker": Listed("service", "Do the jobs of a service, as one more process beside those of `serve`."),
        "keys": Listed("keys", "Make, list and revoke the keys of the service."),
    },
    "Keep": {
        "migrate": Listed("upkeep", "Make a database, or bring its tables to this program's version."),
        "doctor": Listed("upkeep", "Check a database: version, damage, clocks, rights, waiting jobs, speed."),
        "prune": Listed("upkeep", "Delete observations before an instant, for good."),
        "copy": Listed("upkeep", "Copy a whole database into a new one of any engine, and compare all rows."),
        "export": Listed("upkeep", "Write the database as Parquet files."),
        "audit": Listed("records", "List the audit trail: who did what, the newest first."),
    },
}
_FIRST_SENTENCE: Final = re.compile(r".*?[.?!](?=\s|$)", flags=re.DOTALL)


class CommandList(TyperGroup):
    """Commands whose help is not cut off."""

    def sections(self) -> dict[str, dict[str, str]]:
        """Return what is said of each command under each title."""
        return {"Commands": {name: first_sentence(command.help or "") for name, command in self.commands.items()}}

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, title by title."""
        sections = self.sections()
        longest = max(len(name) for commands in sections.values() for name in commands)
        for title, commands in sections.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(longest), sentence) for name, sentence in commands.items()])


def first_sentence(text: str) -> str:
    """Return the first sentence of a text, on one line."""
    match = _FIRST_SENTENCE.match(text)
    return " ".join((match[0] if match else text).split())
