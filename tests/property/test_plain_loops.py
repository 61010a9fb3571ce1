"""The loops of the kernel say the same as plain Python and as machine code, and are compiled once that pays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from tests.property.strategies import Case, cases
from tests.property.test_against_oracle import expected_report
from uphours import machine_code
from uphours.kernel import jit


@given(cases(max_stores=4))
def test_a_report_in_plain_python_equals_the_oracle(case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jit._Loop, "__call__", lambda loop, *arguments: loop._loop(*arguments))
        assert case.report().to_dicts() == expected_report(case)


def test_a_loop_is_compiled_when_it_has_gone_through_many_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(jit._state, "plain_elements", 100)
    compilations = []

    def compile_it(loop: Any, *_: Any) -> Any:
        compilations.append(loop)
        return loop

    monkeypatch.setattr(machine_code, "machine_code", compile_it)
    sums: list[int] = []
    loop = jit.compiled(lambda offsets, values, _room: sums.append(int(values.sum())))
    offsets, values = np.zeros(2, dtype=np.int64), np.ones(40, dtype=np.int64)
    room = np.empty(10**6)  # how long other arrays are does not matter
    for _ in range(4):
        loop(offsets, values, room)
    assert sums == [40] * 4
    assert len(compilations) == 1
    loop = jit.compiled(lambda _offsets, _values, _windows: None)
    loop(offsets, values, np.zeros((1, 3)))
    assert len(compilations) == 2
