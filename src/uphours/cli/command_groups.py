"""The list of commands in `uphours --help`: in groups, each with its whole first sentence."""

from __future__ import annotations

import re
from typing import Any, Final

from typer.core import TyperGroup

#: The commands under each title; every command stands in one group.
GROUPS: Final = {
    "Look": ("demo", "report", "explain", "stores", "calendar", "targets"),
    "Load and adjust": ("load", "loads", "quarantine", "import", "holidays", "adjust", "adjustments", "withdraw"),
    "Serve": ("serve", "worker", "keys"),
    "Keep": ("migrate", "doctor", "prune", "copy", "export", "audit"),
}
_FIRST_SENTENCE: Final = re.compile(r".*?[.?!](?=\s|$)", flags=re.DOTALL)


class CommandList(TyperGroup):
    """Commands whose help is not cut off."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, in groups if they are those of `GROUPS`."""
        commands = {name: command for name, command in self.commands.items() if not command.hidden}
        is_grouped = not set().union(*GROUPS.values()).isdisjoint(commands)
        groups = GROUPS if is_grouped else {"Commands": tuple(commands)}
        longest = max(map(len, commands))
        for title, names in groups.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(longest), _sentence(commands[name].help or "")) for name in names])


def _sentence(text: str) -> str:
    match = _FIRST_SENTENCE.match(text)
    return " ".join((match[0] if match else text).split())
