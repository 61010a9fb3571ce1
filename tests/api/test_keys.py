"""Keys over HTTP and on their page: made, shown once, listed, revoked."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.fixtures.databases import only_sqlite
from tests.fixtures.services import Service

pytestmark = only_sqlite  # what engines do with keys is asked in tests/database

TOKEN = re.compile(r"sp_[a-z2-7]{12}_[a-z2-7]{52}")


def status_with(served: Service, token: str, path: str = "/v1/stores") -> int:
    with served.client(headers={"Authorization": f"Bearer {token}"}) as client:
        return client.get(path).status_code


def test_a_key_that_is_made_works_until_it_is_revoked(client: httpx.Client, served: Service) -> None:
    answer = client.post("/v1/keys", json={"name": "a job", "scopes": ["read"], "only": {"region": ["North", ""]}})
    assert answer.status_code == 201
    made = answer.json()
    assert made["only"] == {"region": ["(none)", "North"]}
    listed = next(key for key in client.get("/v1/keys").json()["keys"] if key["key_id"] == made["key_id"])
    assert listed == {name: value for name, value in made.items() if name != "token"}
    assert made["token"].split("_")[2] not in client.get("/v1/keys").text
    assert status_with(served, made["token"], "/v1/reports") == 200
    assert status_with(served, made["token"], "/v1/loads") == 403
    revoked = [client.post(f"/v1/keys/{made['key_id']}/revocation").json()["revoked_at"] for _ in range(2)]
    assert revoked[0] == revoked[1]
    assert status_with(served, made["token"], "/v1/reports") == 401


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": " ", "scopes": ["read"]}, "a key cannot be called ' '"),
        ({"name": "x", "scopes": ["write"]}, "scopes"),
        ({"name": "x", "scopes": ["admin"], "only": {"region": ["TX"]}}, "the scope admin is for all stores"),
        ({"name": "x", "scopes": ["feed", "read"]}, "cannot be joined with others"),
        ({"name": "x", "scopes": ["read"], "only": {"region": []}}, "only"),
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(client: httpx.Client, body: dict[str, object], says: str) -> None:
    before = len(client.get("/v1/keys").json()["keys"])
    answer = client.post("/v1/keys", json=body)
    assert answer.status_code == 422
    assert says in answer.text
    assert len(client.get("/v1/keys").json()["keys"]) == before


def test_a_key_that_is_not_there_is_not_found(client: httpx.Client) -> None:
    assert client.post("/v1/keys/aaaaaaaaaaaa/revocation").status_code == 404


def test_the_page_makes_a_key_and_shows_its_token_once(client: httpx.Client, served: Service) -> None:
    form = {"name": "franchise <7>", "scope": ["read", "adjust"], "only": "region=North\r\n\r\nregion=South\r\n"}
    shown = client.post("/keys", data=form)
    assert shown.status_code == 201
    (token,) = TOKEN.findall(shown.text)
    assert "franchise &lt;7&gt;" in shown.text
    assert "region=North or South" in shown.text
    again = client.get("/keys")
    assert token not in again.text
    key_id = token.split("_")[1]
    assert key_id in again.text
    assert status_with(served, token, "/v1/reports") == 200
    assert client.post(f"/keys/{key_id}/revocation").headers["location"] == "/keys"
    assert status_with(served, token, "/v1/reports") == 401


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"name": "x"}, "scopes"),
        ({"name": "x", "scope": ["read"], "only": "region"}, "cannot read the stores &#39;region&#39;"),
        ({"name": "x", "scope": ["ingest"], "only": "region=TX"}, "the scope ingest is for all stores"),
    ],
)
def test_a_mistake_on_the_page_is_said_and_what_was_typed_stays(
    client: httpx.Client, form: dict[str, object], says: str
) -> None:
    shown = client.post("/keys", data=form)
    assert shown.status_code == 422
    assert says in shown.text
    assert 'value="x"' in shown.text
    assert str(form.get("only", "")) in shown.text
    assert not TOKEN.search(shown.text)
