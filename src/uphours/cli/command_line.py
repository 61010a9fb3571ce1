"""The command line: reads the clock and the environment, calls one function, prints what comes back.

Results go to standard output, messages to standard error. Exit codes: 0 good, 2 the input is wrong, 3 the store
or the cluster failed, 1 a defect of ours.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Final, NoReturn

import typer

from uphours import __version__
from uphours.cli import edge
from uphours.cli.command_groups import CommandList
from uphours.cli.expanded_globs import FilesCommand
from uphours.cli.terminal import say
from uphours.errors import DatabaseError, EngineError, UphoursError
from uphours.kernel.jit import announce_compiling

# The parts that do the work are imported by the command that needs them: a mistake in the options, or --help,
# must not wait for them.

_DEFECT: Final = 1
_INPUT_IS_WRONG: Final = 2
_FAILED: Final = 3
#: What a full or failing device says to what is printed.
_OUTPUT_FAILED: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

#: The module of this package that each command is in: a function of its name; groups are called ``app`` there.
_COMMANDS: Final = {
    **dict.fromkeys(("load", "report"), "reporting"),
    "targets": "budgets",
    "explain": "reporting",
    **dict.fromkeys(("stores", "loads", "quarantine", "audit"), "records"),
    **dict.fromkeys(("serve", "worker"), "service"),
    **dict.fromkeys(("migrate", "doctor", "prune", "copy", "export"), "upkeep"),
    "demo": "tour",
    "holidays": "calendars",
    **dict.fromkeys(("calendar", "adjust", "adjustments", "withdraw"), "ledger_entries"),
    "import": "calendars",
    "keys": "keys",
}
_GROUPS: Final = ("import", "keys")
_TAKE_FILES: Final = ("load", "report", "targets")


@cache
def application(only: str | None = None) -> typer.Typer:
    """Return the command line, with all commands or with one: to import and prepare that takes a third of the time."""
    app = typer.Typer(
        name="uphours",
        cls=CommandList,
        subcommand_metavar="COMMAND [ARGS]",
        help="How long was every store really up while it was supposed to be open?",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # plain help fits its lines; in boxes every sentence is broken up
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_root)
    for name in _COMMANDS if only is None else [only]:
        module = import_module(f"uphours.cli.{_COMMANDS[name]}")
        if name in _GROUPS:
            app.add_typer(module.app)
        else:
            app.command(cls=FilesCommand if name in _TAKE_FILES else None)(getattr(module, name))
    return app


def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def run(words: Sequence[str], *, standalone_mode: bool = True) -> None:
    """Run the words of a command line; a process that runs a command again prepares it once."""
    _prepared(words[0] if words and words[0] in _COMMANDS else None)(words, standalone_mode=standalone_mode)


@cache
def _prepared(only: str | None) -> Callable[..., object]:
    return typer.main.get_command(application(only))


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    edge.begin()
    if sys.stderr.isatty():
        announce_compiling(lambda: say("compiling the kernel for this machine, once: about 5 s"))
    try:
        run(sys.argv[1:])
    except (DatabaseError, EngineError) as error:
        _leave(error, _FAILED)
    except UphoursError as error:
        _leave(error, _INPUT_IS_WRONG)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.errno not in _OUTPUT_FAILED:
            _leave_with_traceback()
        # What could not be written would be tried again when the program ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _leave(f"cannot write to standard output: {error.strerror}", _INPUT_IS_WRONG)
    except Exception:
        _leave_with_traceback()
    sys.exit(0)


def _leave_with_traceback() -> NoReturn:
    traceback.print_exc()
    _leave("this is a defect of uphours; please report it with the lines above", _DEFECT)


def _leave(message: object, code: int) -> NoReturn:
    say(f"uphours: {message}")
    sys.exit(code)
