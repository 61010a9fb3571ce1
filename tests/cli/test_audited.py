"""What the command line changes in a store is in its audit trail, with the user who did it."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.conftest import FILES, Run
from uphours.cli import edge


def trail(run: Run, *words: str) -> list[tuple[Any, ...]]:
    entries = json.loads(run("audit", "--json", *words).out)
    return [(e["actor"], e["action"], e["subject"], e["details"]) for e in reversed(entries)]


def test_loads_prunes_keys_and_copies_are_on_record(run: Run, files: list[str]) -> None:
    me = edge.actor()
    assert me.startswith("cli:")
    assert run("load", *FILES).code == 0
    assert run("load", "--polls", "polls.csv").code == 0
    assert run("load", "--polls", "nowhere.csv").code == 2
    assert run("prune", "--before", "2023-01-24", "--yes").code == 0
    assert run("keys", "create", "till", "--scope", "ingest").code == 0
    key = json.loads(run("keys", "list", "--json").out)[0]["key_id"]
    assert run("keys", "revoke", key).code == 0
    made = trail(run)
    assert [entry[:3] for entry in made] == [
        (me, "load", "1"),
        (me, "load", "2"),
        (me, "prune", "observations"),
        (me, "key.create", key),
        (me, "key.revoke", key),
    ]
    assert made[1][3] == {"rows": 4, "files": ["polls.csv"]}
    assert run("copy", "--from", "sqlite:///uphours.db", "--to", "sqlite:///copy.db").code == 0
    assert trail(run) == made
    *copied, last = trail(run, "--db", "sqlite:///copy.db")
    assert copied == made
    assert last[:3] == (me, "copy", "store")
    assert last[3]["from"] == "uphours.db"
    assert last[3]["rows"] > 4
