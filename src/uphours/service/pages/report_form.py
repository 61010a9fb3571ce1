"""The form of a report: what stands in it, what is wrong with that, and the body that it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final

from fastapi import Depends, Form

from uphours.database.saved_reports import check_name
from uphours.errors import InputError
from uphours.kernel.policy import CHOICES, Policy
from uphours.kernel.windows import Window, window_names, window_of
from uphours.reports.request import ReportRequest
from uphours.schema import instant_iso, instant_us
from uphours.service.api.stores import DefaultPolicy
from uphours.service.bodies import checked
from uphours.service.pages.query import WINDOWS, Asked
from uphours.service.policy_parameters import InForm
from uphours.where import plain, texts_of, where_of_texts
from uphours.wire.report_messages import ReportBody

#: The windows of a report unless others are chosen.
_USUAL_WINDOWS: Final = ("last_hour", "last_day", "last_week")
_MOST_WINDOWS: Final = 100
_MOST_NAMES: Final = 20
_MOST_VALUES: Final = 1_000
#: More than any field may hold: what is too long for it comes back with the other fields.
LONGEST_FIELD: Final = 1 << 14
#: The fields beside which there is room for what is wrong with them.
PLACES: Final = frozenset(("windows", "as_of", "stores", "name", *CHOICES))


@dataclass(frozen=True)
class Typed:
    """What stands in the form, as text.

    ``windows``: names, and windows of one's own as NAME=START/END. ``where`` and ``only``: NAME=VALUE. ``policy``: each
    choice by name. ``name``: as which the report is saved; blank where it is not.
    """

    policy: Mapping[str, str]
    windows: Sequence[str] = _USUAL_WINDOWS
    as_of: str = ""
    stores: str = ""
    where: Sequence[str] = ()
    only: Sequence[str] = ()
    by: Sequence[str] = ()
    columns: Sequence[str] = ("name",)
    all_stores: bool = False
    detail: bool = False
    raw: bool = False
    compare: bool = False
    outages: bool = False
    name: str = ""

    @classmethod
    def from_asked(cls, asked: Asked) -> Typed:
        """Return the form for the question of another page."""
        windows = [asked.values["window"]] if "window" in asked.changed else _USUAL_WINDOWS
        policy = {name: asked.values[name] for name in CHOICES}
        return cls(policy, windows, asked.values["as_of"], where=asked.where, raw=asked.raw)

    @classmethod
    def from_request(cls, request: ReportRequest, name: str) -> Typed:
        """Return the form in which a request of the latest observation is saved under a name."""
        return cls(
            policy=request.policy.texts(),
            windows=[_window_text(one) for one in request.windows],
            stores="\n".join(request.stores or ()),
            where=texts_of(request.where),
            only=texts_of(request.only),
            by=request.by,
            columns=request.columns,
            all_stores=request.all_stores,
            detail=request.detail,
            raw=request.raw,
            compare=request.compare,
            outages=request.outages,
            name=name,
        )

    @property
    def own_dates(self) -> str:
        """The windows that are typed rather than chosen."""
        return ", ".join(one for one in self.windows if one not in WINDOWS)

    def mistakes(self) -> dict[str, str]:
        """Return what is wrong, by name of field; whether there are such stores and attributes is not looked at."""
        checks: dict[str, Callable[[], object]] = {
            "windows": self._windows,
            "as_of": lambda: self.as_of and instant_us(self.as_of),
            "name": self._name,
            **{name: partial(Policy().changed, {name: text}) for name, text in self.policy.items()},
        }
        found = {}
        for name, check in checks.items():
            try:
                check()
            except InputError as error:
                found[name] = str(error)
        return found

    def _name(self) -> None:
        if self.name:
            check_name(self.name)

    def _windows(self) -> list[str | Window]:
        if not self.windows:
            raise InputError("no window is chosen; valid are one or more of them, or dates of your own")
        windows = [window_of(text) for text in self.windows]
        window_names(windows)
        return windows

    def body(self) -> ReportBody:
        """Return it as the API takes it, of something without mistakes.

        Raises
        ------
        InputError
            A value makes no sense.
        """
        return checked(
            ReportBody,
            {
                **self.policy,
                "as_of": self.as_of or None,
                "windows": [one if isinstance(one, str) else one.to_dict() for one in self._windows()],
                "stores": [line.strip() for line in self.stores.splitlines() if line.strip()] or None,
                "where": plain(where_of_texts(self.where)),
                "only": plain(where_of_texts(self.only, "only")),
                "by": self.by,
                "columns": [] if self.by else self.columns,
                **{name: getattr(self, name) for name in ("all_stores", "detail", "raw", "compare", "outages")},
            },
        )


def _window_text(window: str | Window) -> str:
    if isinstance(window, str):
        return window
    values: dict[str, Any] = window.to_dict()
    bounds = (values.get(f"{side}_date") or instant_iso(values[f"{side}_us"]) for side in ("start", "end"))
    return f"{window.name}={'/'.join(bounds)}"


_Texts = Annotated[list[str] | None, Form(max_length=_MOST_VALUES)]
_Names = Annotated[list[str] | None, Form(max_length=_MOST_NAMES)]
_Ticked = Annotated[bool, Form()]


def _typed(
    chosen: InForm,
    default: DefaultPolicy,
    windows: Annotated[list[str] | None, Form(max_length=_MOST_WINDOWS)] = None,
    as_of: Annotated[str, Form(max_length=64)] = "",
    stores: Annotated[str, Form(max_length=1 << 18)] = "",
    where: _Texts = None,
    only: _Texts = None,
    by: _Names = None,
    columns: _Names = None,
    all_stores: _Ticked = False,
    detail: _Ticked = False,
    raw: _Ticked = False,
    compare: _Ticked = False,
    outages: _Ticked = False,
    name: Annotated[str, Form(max_length=LONGEST_FIELD)] = "",
) -> Typed:
    policy = {choice: text for choice, value in chosen.items() if (text := str(value).strip())}
    return Typed(
        policy=default.texts() | policy,
        windows=[text for one in windows or () for part in one.split(",") if (text := part.strip())],
        as_of=as_of.strip(),
        stores=stores.replace("\r\n", "\n"),
        where=[text for text in where or () if text],
        only=[text for text in only or () if text],
        by=[text for one in by or () if (text := one.strip())],
        columns=[text for one in columns or () if (text := one.strip())],
        all_stores=all_stores,
        detail=detail,
        raw=raw,
        compare=compare,
        outages=outages,
        name=name.strip(),
    )


ReportForm = Annotated[Typed, Depends(_typed)]
