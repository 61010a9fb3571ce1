"""The command line: reads the clock and the environment, calls one function, prints what comes back.

Results go to standard output, messages to standard error. Exit codes: 0 good, 2 the input is wrong, 3 the store
or the cluster failed, 1 a defect of ours.
"""

from __future__ import annotations

import sys
import traceback
from typing import Annotated, Final, NoReturn

import typer

from storepulse import __version__
from storepulse.cli import keys, records, reporting, service, tour, upkeep
from storepulse.cli.terminal import say
from storepulse.errors import EngineError, StoreError, StorepulseError

# The parts that do the work are imported by the command that needs them: a mistake in the options, or --help,
# shall not wait for them.

_DEFECT: Final = 1
_INPUT_IS_WRONG: Final = 2
_FAILED: Final = 3

app = typer.Typer(
    name="storepulse",
    help="How long was every store really up while it was supposed to be open?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help fits its lines; in boxes every sentence is broken up
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _commands in (
    (reporting.load, reporting.report, reporting.explain),
    (records.stores, records.loads, records.quarantine, records.audit),
    (service.serve, service.worker),
    (upkeep.migrate, upkeep.doctor, upkeep.prune, upkeep.copy, upkeep.export),
    (tour.demo,),
):
    for _command in _commands:
        app.command()(_command)
app.add_typer(keys.app)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    try:
        app()
    except (StoreError, EngineError) as error:
        _leave(error, _FAILED)
    except StorepulseError as error:
        _leave(error, _INPUT_IS_WRONG)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        traceback.print_exc()
        _leave("this is a defect of storepulse; please report it with the lines above", _DEFECT)
    sys.exit(0)


def _leave(message: object, code: int) -> NoReturn:
    say(f"storepulse: {message}")
    sys.exit(code)
