"""The command line: reads the clock and the environment, calls one function, prints what comes back.

Results go to standard output, messages to standard error. Exit codes: 0 good, 2 the input is wrong, 3 the store
or the cluster failed, 1 a defect of ours.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Any, Final, NoReturn

import typer

from uphours import __version__
from uphours.cli import edge
from uphours.cli.command_groups import GROUPS, CommandList
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

_TAKE_FILES: Final = ("load", "report", "targets")


class _Commands(Mapping[str, Any]):
    """The commands by name, each of which is imported and prepared when it is asked for."""

    def __init__(self) -> None:
        self._listed = {name: listed for commands in GROUPS.values() for name, listed in commands.items()}
        self._prepared: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._prepared:
            module = import_module(f"uphours.cli.{self._listed[name].module}")
            if (function := getattr(module, name, None)) is None:
                self._prepared[name] = typer.main.get_group(module.app)
            else:
                app = typer.Typer(add_completion=False, rich_markup_mode=None)
                app.command(cls=FilesCommand if name in _TAKE_FILES else None)(function)
                self._prepared[name] = typer.main.get_command(app)
        return self._prepared[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)


class _Program(CommandList):
    """The command line, whose help imports no command."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()  # type: ignore[assignment]  # nothing is ever added to it

    def sections(self) -> dict[str, dict[str, str]]:
        """Return what is said of each command under each title."""
        return {
            title: {name: listed.sentence for name, listed in commands.items()} for title, commands in GROUPS.items()
        }


@cache
def application() -> typer.Typer:
    """Return the command line."""
    app = typer.Typer(
        name="uphours",
        cls=_Program,
        subcommand_metavar="COMMAND [ARGS]",
        help="How long was every store really up while it was supposed to be open?",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # plain help fits its lines; in boxes every sentence is broken up
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_root)
    return app


def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@cache
def program() -> Any:
    """Return the command line as it is run; a process that runs commands again prepares each of them once."""
    return typer.main.get_command(application())


def run(words: Sequence[str], *, standalone_mode: bool = True) -> None:
    """Run the words of a command line."""
    program()(words, standalone_mode=standalone_mode)


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
