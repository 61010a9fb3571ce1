"""Where a setting comes from, what comes before what, and what mistakes say."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from uphours.errors import InputError
from uphours.schema import HOUR_US, MINUTE_US
from uphours.service.terms import watched
from uphours.settings import CONFIG, PREFIX, Settings, SourceSettings, environment, settings

pytestmark = pytest.mark.anywhere


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def configure(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    file = folder / "uphours.toml"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setenv(CONFIG, str(file))


def test_nothing_needs_to_be_set() -> None:
    chosen = settings()
    assert (chosen.host, chosen.port, chosen.workers) == ("127.0.0.1", 8000, 2)


def test_a_flag_comes_before_the_environment_a_named_file_the_configuration_and_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = [settings().port]
    configure(monkeypatch, tmp_path, "port = 4001")
    seen.append(settings().port)
    (tmp_path / "port").write_text("4002\n", encoding="utf-8")
    monkeypatch.setenv("UPHOURS_PORT_FILE", str(tmp_path / "port"))
    seen.append(settings().port)
    monkeypatch.setenv("UPHOURS_PORT", "4003")
    seen.append(settings().port)
    seen.append(settings(port=4004).port)
    assert seen == [8000, 4001, 4002, 4003, 4004]


def test_a_flag_that_is_not_given_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPHOURS_HOST", "localhost")
    assert settings(host=None).host == "localhost"


def test_sources_of_different_settings_add_up_to_one_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configure(monkeypatch, tmp_path, 'host = "localhost"\nport = 4001\nkeep_reports = "7d"')
    monkeypatch.setenv("UPHOURS_WORKERS", "1")
    chosen = settings(port=4002)
    assert (chosen.host, chosen.port, chosen.workers) == ("localhost", 4002, 1)
    assert chosen.keep_reports == 7 * 24 * HOUR_US


def test_lists_are_json_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPHOURS_ALLOWED_HOSTS", '["a.example", "b.example"]')
    monkeypatch.setenv("UPHOURS_SOURCES", '[{"place": "inbox", "every": "15m"}]')
    chosen = settings()
    assert chosen.allowed_hosts == ("a.example", "b.example")
    assert chosen.sources == (SourceSettings(place="inbox", every=15 * MINUTE_US),)


def test_lists_are_json_in_a_named_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sources").write_text('[{"place": "https://example.com/a.csv?token=x"}]\n', encoding="utf-8")
    monkeypatch.setenv("UPHOURS_SOURCES_FILE", str(tmp_path / "sources"))
    assert [source.place for source in settings().sources] == ["https://example.com/a.csv?token=x"]


def test_the_environment_of_settings_makes_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings(
        database_url="sqlite:////tmp/a b.db",
        insecure=True,
        allowed_hosts=("a.example",),
        data_folder=Path("/tmp/in box"),
        sources=({"place": "s3://bucket/in", "name": 'a "quoted" – name', "every": "90s"}, {"place": "inbox"}),
        wait_seconds=0.25,
        keep_reports="1.5h",
    )
    for name, value in environment(chosen).items():
        monkeypatch.setenv(name, value)
    assert settings() == chosen


def test_the_environment_of_settings_names_each_of_them() -> None:
    names = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert set(environment(settings(data_folder="."))) == names


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "many"), ("PORT", "65536"), ("PORT", ""), ("WORKERS", "-1"), ("QUEUE_LIMIT", "0"),
        ("KEEP_REPORTS", "soon"), ("KEEP_REPORTS", "0s"), ("UPLOAD_SECONDS", "0"), ("MAX_ROWS", "0"),
        ("INSECURE", "perhaps"), ("LOG_LEVEL", "loud"), ("LOG_FORMAT", "xml"), ("ALLOWED_HOSTS", "a.example"),
        ("ALLOWED_HOSTS", '"a.example"'), ("SOURCES", "[{}]"), ("SOURCES", '[{"place": ""}]'),
        ("SOURCES", '[{"place": "in", "often": "1h"}]'), ("WAIT_SECONDS", "nan"), ("RATE_PER_SECOND", "nan"),
        ("UPLOAD_SECONDS", "inf"),
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"{PREFIX}{name}", value)
    with pytest.raises(InputError) as caught:
        settings()
    assert name.lower() in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["UPHOURS_PROT", "UPHOURS_PROT_FILE", "UPHOURS_", "UPHOURS_CONFIG_FILE"])
def test_a_setting_that_does_not_exist_is_named_with_those_that_do(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(InputError, match=f"there is no setting {name}; valid are .*UPHOURS_PORT"):
        settings()


def test_a_key_of_the_configuration_file_that_does_not_exist_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configure(monkeypatch, tmp_path, "prot = 1")
    with pytest.raises(InputError, match="the setting prot makes no sense"):
        settings()


@pytest.mark.parametrize("content", [b"port = ", b"port 1", b"\xff\xfe"])
def test_a_configuration_file_that_is_no_toml_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "bad.toml").write_bytes(content)
    monkeypatch.setenv(CONFIG, str(tmp_path / "bad.toml"))
    with pytest.raises(InputError, match=r"cannot read .*bad\.toml, which UPHOURS_CONFIG names, as TOML"):
        settings()


@pytest.mark.parametrize("name", [CONFIG, "UPHOURS_DATABASE_URL_FILE"])
def test_a_named_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setenv(name, str(tmp_path / "missing"))
    with pytest.raises(InputError, match=r"cannot read .*missing.*No such file"):
        settings()


def test_a_named_file_that_is_no_text_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff\xfe\x00")
    monkeypatch.setenv("UPHOURS_DATABASE_URL_FILE", str(tmp_path / "secret"))
    with pytest.raises(InputError, match=r"cannot read .*secret"):
        settings()


@pytest.mark.parametrize("kind", ["environment", "file"])
@pytest.mark.parametrize(
    "text", ['[{"place": "https://user:hunter2@example.com/a.csv", "often": 1}]', '[{"place": "hunter2"]']
)
def test_a_message_does_not_repeat_what_may_be_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, text: str
) -> None:
    (tmp_path / "sources").write_text(text, encoding="utf-8")
    given = {
        "environment": ("UPHOURS_SOURCES", text),
        "file": ("UPHOURS_SOURCES_FILE", str(tmp_path / "sources")),
    }
    monkeypatch.setenv(*given[kind])
    with pytest.raises(InputError) as caught:
        settings()
    assert "hunter2" not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings().port = 1


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True),
        ("0.0.0.0", False), ("::", False), ("192.168.1.5", False), ("example.com", False), ("", False),
    ],
)  # fmt: skip
def test_loopback_is_what_nobody_else_can_reach(host: str, own: bool) -> None:
    assert settings(host=host).on_loopback is own


def test_durations_are_written_in_units_that_can_be_read_again() -> None:
    written = environment(settings(keep_reports="1h", sources=({"place": "in", "every": "15m"},)))
    assert written["UPHOURS_KEEP_REPORTS"] == f"{HOUR_US}us"
    assert json.loads(written["UPHOURS_SOURCES"])[0]["every"] == f"{15 * MINUTE_US}us"


def test_two_sources_of_one_name_are_a_mistake() -> None:
    places = [{"place": "https://example.com/polls.csv?token=a"}, {"place": "https://example.com/polls.csv?token=b"}]
    with pytest.raises(InputError, match=r"two sources are called 'https://example\.com/polls\.csv'"):
        watched(settings(sources=places))
