"""One frozen `Settings`: flag, environment, file, default, in this order.

An environment variable is called ``UPHOURS_`` and the name of the setting; ``…_FILE`` names a file that holds
the value, for secrets. ``UPHOURS_CONFIG`` names a TOML file. Built at the outer edge alone.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field, PlainSerializer, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)
from pydantic_settings.sources import InitSettingsSource

from uphours.errors import InputError
from uphours.kernel.policy import Policy
from uphours.schema import DAY_US, HOUR_US, duration_us

PREFIX: Final = "UPHOURS_"
CONFIG: Final = f"{PREFIX}CONFIG"
DEFAULT_DATABASE_URL: Final = "sqlite:///uphours.db"

_MIB: Final = 1 << 20


def _duration(value: object) -> object:
    return duration_us(value) if isinstance(value, str) else value


Duration = Annotated[int, BeforeValidator(_duration), PlainSerializer(lambda us: f"{us}us"), Field(gt=0)]
"""Written as ``90m``, ``1.5h``, ``30d``; kept as microseconds."""


def _policy(value: object) -> object:
    return Policy.read(value) if isinstance(value, str) else value


PolicySetting = Annotated[Policy, NoDecode, BeforeValidator(_policy), PlainSerializer(Policy.text)]
"""Written as ``next,max_age=12h,assume=active``."""


class SourceSettings(BaseModel, frozen=True, extra="forbid"):
    """A place that is watched."""

    place: str = Field(min_length=1, description="Folder, glob, file, http(s)://, s3://, gs:// or az:// URL.")
    name: str | None = Field(default=None, max_length=200, description="What it is called; the place, unless given.")
    every: Duration = Field(default=HOUR_US, description="How often it is read.")


class Settings(BaseSettings):
    """What the service, its workers and its command line can be set to."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    database_url: str = Field(default=DEFAULT_DATABASE_URL, description="The store.")
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    insecure: bool = Field(
        default=False, description="Serve an address that others can reach although there is no API key."
    )
    require_key: bool = Field(default=False, description="Ask for an API key on loopback too, such as behind a proxy.")
    session_hours: float = Field(
        default=12,
        gt=0,
        le=8760,
        allow_inf_nan=False,
        description="How long a browser that has signed in with an API key stays signed in.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="Host names that requests may name, `*` for all. Unless given: all where a key is needed; else "
        "names of this machine's loopback, and where others can reach it IP addresses too.",
    )
    cors_origins: tuple[str, ...] = Field(
        default=(), description="Origins of pages elsewhere that may use the API from a browser; none unless given."
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(),
        description="Addresses and networks of proxies whose X-Forwarded-For and X-Forwarded-Proto count; none unless "
        "given.",
    )
    policy: PolicySetting = Field(
        default=Policy(),
        description="How the time between two polls is read wherever a request does not say, such as "
        "`next,max_age=12h,assume=active`.",
    )
    workers: int = Field(default=2, ge=0, le=64, description="Worker processes that `serve` starts.")
    queue_limit: int = Field(
        default=100,
        ge=1,
        description="Jobs of each kind that may wait, half of them for one API key; beyond that requests get 429.",
    )
    keep_reports: Duration = Field(default=30 * DAY_US, description="How long reports are kept.")
    wait_seconds: float = Field(
        default=60,
        ge=0,
        allow_inf_nan=False,
        description="How long a request waits for its load before it is answered with where to look.",
    )
    data_folder: Path | None = Field(default=None, description="The folder that `/store_csv_data` loads.")
    sources: tuple[SourceSettings, ...] = Field(default=(), description="Places that are watched.")
    allow_private_addresses: bool = Field(default=False, description="Let URLs of sources lead to private addresses.")
    max_body_bytes: int = Field(default=512 * _MIB, ge=1024, description="The largest body of a request.")
    max_decompressed_bytes: int = Field(
        default=1024 * _MIB, ge=1024, description="The most that a file of a load may decompress to."
    )
    max_rows: int = Field(
        default=5_000_000,
        ge=1,
        description="The most polls in a file of a load; of hours and time zones a fifth of it. A worker needs some 65 "
        "bytes for each.",
    )
    upload_seconds: float = Field(
        default=600, gt=0, allow_inf_nan=False, description="How long a request may take to send its body."
    )
    rate_per_second: float = Field(
        default=200, gt=0, allow_inf_nan=False, description="Requests a second that one API key may go on making."
    )
    rate_burst: int = Field(default=1000, ge=1, description="Requests that it may make at once.")
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="How log lines look; auto is for people on a terminal, else JSON."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="From which level on lines are logged."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Say what comes before what: flags, the environment, files that it names, the configuration file."""
        return (
            init_settings,
            env_settings,
            _FromNamedFiles(settings_cls),
            InitSettingsSource(settings_cls, _configured()),
        )

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class _FromNamedFiles(EnvSettingsSource):
    """Values from the files that ``UPHOURS_…_FILE`` name."""

    def __call__(self) -> dict[str, Any]:
        return {
            name: self._value(name, field, path)
            for name, field in self.settings_cls.model_fields.items()
            if (path := os.environ.get(f"{PREFIX}{name.upper()}_FILE"))
        }

    def _value(self, name: str, field: FieldInfo, path: str) -> Any:
        text = self._read(path)
        try:
            return self.prepare_field_value(name, field, text, value_is_complex=False)
        except ValueError as error:
            raise SettingsError(f"cannot read the setting {name} in {path}") from error

    @staticmethod
    def _read(path: str) -> str:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise InputError(f"cannot read {path}, which a setting names: {error.strerror}") from error
        except UnicodeDecodeError as error:
            # Without what the error says: it has bytes of what may be a secret.
            raise InputError(f"cannot read {path}, which a setting names, as text: it is not UTF-8") from error


def _configured() -> dict[str, Any]:
    path = os.environ.get(CONFIG)
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}, which {CONFIG} names: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {path}, which {CONFIG} names, as TOML: it is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"cannot read {path}, which {CONFIG} names, as TOML: {error}") from error


def settings(**flags: object) -> Settings:
    """Build the settings; flags that are None were not given.

    Raises
    ------
    InputError
        A value makes no sense, or a setting does not exist.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    unknown = sorted(
        name
        for name in os.environ
        if name.startswith(PREFIX)
        and name != CONFIG
        and name.removeprefix(PREFIX).removesuffix("_FILE").lower() not in Settings.model_fields
    )
    if unknown:
        names = ", ".join(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)
        raise InputError(f"there is no setting {unknown[0]}; valid are {names}")
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        raise InputError("; ".join(_problem(one) for one in error.errors(include_url=False))) from None
    except SettingsError as error:
        raise InputError(f"{error}; lists are written as JSON") from None


def _problem(error: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"the setting {where} makes no sense: {error['msg']}"


def environment(chosen: Settings) -> dict[str, str]:
    """Return the settings as environment variables, for a process that must have the same."""
    values = chosen.model_dump(mode="json")
    return {
        f"{PREFIX}{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if value is not None
    }
