"""Values of which bodies of requests are made."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from uphours.wire.fields import Doc, Length

STORE_ID_MAX_LENGTH: Final = 255

StoreId: TypeAlias = Annotated[str, Length(1, STORE_ID_MAX_LENGTH)]
AttributeText: TypeAlias = Annotated[str, Length(0, STORE_ID_MAX_LENGTH)]
Values: TypeAlias = dict[AttributeText, Annotated[list[AttributeText], Length(1, 1_000)]]
"""Values by name of attribute."""
Instant: TypeAlias = Annotated[str, Length(0, 64), Doc(examples=("2023-01-25T18:13:22Z",))]
LocalInstant: TypeAlias = Annotated[str, Length(0, 64), Doc(examples=("2026-12-24T09:30",))]
LocalDate: TypeAlias = Annotated[str, Length(0, 10), Doc(examples=("2026-12-24",))]
Duration: TypeAlias = Annotated[str, Length(0, 32), Doc(examples=("90m", "1.5h"))]
