"""Logging in and out: cookies, what is kept, guessing, and changes that come from elsewhere."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text
from sqlmodel import select

from backend.access import machines, people
from backend.access.tables import AuditEntry, MachineToken, User
from backend.app import create_app
from backend.database import reading, writing
from backend.errors import RefusedError
from backend.settings import Settings
from backend.worker import Worker
from tests import plant
from tests.access.logging_in import PASSWORD, account, csrf_token, log_in
from tests.life import decision, recommended

HTML = {"Accept": "text/html"}


class TestLogin:
    def test_a_browser_is_led_to_the_login_page_and_back(self, stranger: TestClient, engine: Engine) -> None:
        account(engine, "steelmaker", "Novak")

        led = stranger.get("/history", headers=HTML, follow_redirects=False)
        page = stranger.get(led.headers["location"], headers=HTML)
        sent = {"user": "Novak", "password": PASSWORD, "next": "/history"}
        back = stranger.post("/login", data=sent, follow_redirects=False)

        assert (led.status_code, led.headers["location"]) == (303, "/login?next=/history")
        assert 'value="/history"' in page.text
        assert (back.status_code, back.headers["location"]) == (303, "/history")
        assert "Novak" in stranger.get("/", headers=HTML).text

    @pytest.mark.parametrize("onward", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere"])
    def test_nobody_is_led_elsewhere(self, stranger: TestClient, engine: Engine, onward: str) -> None:
        account(engine, "viewer")

        sent = {"user": "viewer", "password": PASSWORD, "next": onward}
        answer = stranger.post("/login", data=sent, follow_redirects=False)

        assert answer.headers["location"] == "/"

    def test_the_cookie_is_for_the_browser_alone(self, engine: Engine, database_url: str) -> None:
        account(engine, "viewer")
        app = create_app(Settings(database_url=database_url), engine)  # type: ignore[arg-type]
        with TestClient(app, base_url="https://testserver") as browser:
            sent = {"user": "viewer", "password": PASSWORD}
            cookie = browser.post("/login", data=sent, follow_redirects=False).headers["set-cookie"]
            page = browser.get("/", headers=HTML, follow_redirects=False)

        assert cookie.startswith("__Host-session=")
        for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert part in cookie
        assert page.status_code == 200

    @pytest.mark.parametrize(("name", "password"), [("viewer", "wrong"), ("nobody", PASSWORD), ("", "")])
    def test_what_is_wrong_is_not_told(
        self, stranger: TestClient, engine: Engine, name: str, password: str
    ) -> None:
        account(engine, "viewer")

        answer = stranger.post("/login", data={"user": name, "password": password})

        assert answer.status_code == 401
        assert "User name or password is not right." in answer.text
        assert stranger.get("/api/v1/treatments").status_code == 401

    def test_logged_out_the_cookie_opens_nothing(self, stranger: TestClient, engine: Engine) -> None:
        account(engine, "viewer")
        log_in(stranger, "viewer")
        cookie = stranger.cookies["session"]

        out = stranger.post("/logout", data={"csrf_token": csrf_token(stranger)}, follow_redirects=False)
        stranger.cookies.set("session", cookie)

        assert out.headers["location"] == "/login"
        assert stranger.get("/api/v1/treatments").status_code == 401

    def test_a_session_ends_with_the_shift(self, stranger: TestClient, engine: Engine) -> None:
        account(engine, "viewer")
        log_in(stranger, "viewer")
        with engine.execution_options(writes=True).connect() as connection:
            connection.execute(text("UPDATE login_sessions SET ends_at = began_at"))
            connection.commit()

        assert stranger.get("/api/v1/treatments").status_code == 401

    def test_a_new_password_logs_out_whoever_had_the_old_one(
        self, stranger: TestClient, engine: Engine
    ) -> None:
        account(engine, "viewer")
        log_in(stranger, "viewer")

        with writing(engine) as session:
            people.set_user(session, "viewer", "viewer", "another-password", by="tests")

        assert stranger.get("/api/v1/treatments").status_code == 401
        assert log_in(stranger, "viewer") == 401
        assert log_in(stranger, "viewer", "another-password") == 303

    def test_a_closed_account_opens_nothing(self, stranger: TestClient, engine: Engine) -> None:
        account(engine, "viewer")
        log_in(stranger, "viewer")

        with writing(engine) as session:
            assert people.disable_user(session, "viewer", by="tests")

        assert stranger.get("/api/v1/treatments").status_code == 401
        assert log_in(stranger, "viewer") == 401


class TestGuessing:
    def test_five_failures_and_even_the_right_password_waits(
        self, stranger: TestClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        account(engine, "viewer")
        account(engine, "steelmaker")

        failures = [log_in(stranger, "viewer", "wrong") for _ in range(5)]
        slowed = log_in(stranger, "viewer")
        other = log_in(stranger, "steelmaker")
        monkeypatch.setattr(people, "FAILURES_COUNT_FOR", people.FAILURES_COUNT_FOR * 0)
        later = log_in(stranger, "viewer")

        assert failures == [401] * 5
        assert (slowed, other, later) == (429, 303, 303)

    def test_an_address_that_tries_many_names_waits_too(self, stranger: TestClient) -> None:
        statuses = [log_in(stranger, f"name-{number}", "wrong") for number in range(21)]

        assert statuses == [401] * 20 + [429]


class TestOwnPages:
    def test_a_change_without_the_pages_token_is_refused(self, stranger: TestClient, engine: Engine) -> None:
        account(engine, "technologist")
        log_in(stranger, "technologist")

        without = stranger.put("/api/v1/master-data", json={})
        forged = stranger.put("/api/v1/master-data", json={}, headers={"X-CSRF-Token": "0" * 64})
        own = stranger.put("/api/v1/master-data", json={}, headers={"X-CSRF-Token": csrf_token(stranger)})

        assert [answer.status_code for answer in (without, forged, own)] == [403, 403, 422]
        assert "did not come from a page of this person" in without.json()["detail"]

    def test_the_token_of_another_is_no_good(self, stranger: TestClient, engine: Engine) -> None:
        account(engine, "viewer")
        account(engine, "technologist")
        log_in(stranger, "viewer")
        of_viewer = csrf_token(stranger)
        log_in(stranger, "technologist")

        answer = stranger.put("/api/v1/master-data", json={}, headers={"X-CSRF-Token": of_viewer})

        assert answer.status_code == 403


class TestWhoDecides:
    def test_a_person_decides_as_himself(self, client: TestClient, worker: Worker, engine: Engine) -> None:
        account(engine, "steelmaker", "Novak")
        heat = recommended(client, worker)
        put = decision(client, heat)
        del client.headers["Authorization"]
        log_in(client, "Novak")
        headers = {"X-CSRF-Token": csrf_token(client)}
        path = f"{plant.path(heat['treatment'])}/decision"

        as_another = client.put(path, json=put | {"decided_by": "Weber"}, headers=headers)
        as_himself = client.put(path, json=put | {"decided_by": None}, headers=headers)

        assert as_another.status_code == 422
        assert as_another.json()["errors"][0] == {
            "where": "$.decided_by",
            "what": "'Weber' is not who decides",
            "allowed": "Novak",
        }
        assert as_himself.status_code == 201
        assert as_himself.json()["decided_by"] == "Novak"

    def test_a_machine_says_for_whom(self, client: TestClient, worker: Worker) -> None:
        heat = recommended(client, worker)
        put = decision(client, heat, decided_by=None)

        answer = client.put(f"{plant.path(heat['treatment'])}/decision", json=put)

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["where"] == "$.decided_by"

    def test_what_a_viewer_looks_at_was_not_shown_to_the_steelmaker(
        self, client: TestClient, worker: Worker, engine: Engine
    ) -> None:
        for role in ("viewer", "steelmaker"):
            account(engine, role)
        heat = recommended(client, worker)
        token = client.headers.pop("Authorization")
        shown = {}
        for role in ("viewer", "steelmaker"):
            log_in(client, role)
            client.get(plant.path(heat["treatment"]).replace("/api/v1/treatments", "/heats"), headers=HTML)
            answer = client.get(plant.path(heat["treatment"]), headers={"Authorization": token})
            shown[role] = answer.json()["shown_at"] is not None

        assert shown == {"viewer": False, "steelmaker": True}


class TestMachines:
    def test_a_token_opens_what_its_scopes_say_until_it_is_revoked(
        self, stranger: TestClient, engine: Engine
    ) -> None:
        with writing(engine) as session:
            secret = machines.set_token(session, "level-2", ["tell"], by="tests")
        headers = {"Authorization": f"Bearer {secret}"}

        told = stranger.post("/api/v1/heats", json=plant.heat(), headers=headers)
        read = stranger.get("/api/v1/treatments", headers=headers)
        with writing(engine) as session:
            machines.revoke_token(session, "level-2", by="tests")
        revoked = stranger.post("/api/v1/heats", json=plant.heat(), headers=headers)

        assert [answer.status_code for answer in (told, read, revoked)] == [201, 403, 401]
        assert read.json()["errors"][0]["allowed"] == "somebody who may read"
        assert revoked.headers["www-authenticate"] == "Bearer"

    @pytest.mark.parametrize("given", ["Bearer", "Bearer nonsense", "Basic dXNlcjpwYXNz", "nonsense"])
    def test_what_is_no_token_opens_nothing(self, stranger: TestClient, given: str) -> None:
        answer = stranger.get("/api/v1/treatments", headers={"Authorization": given})

        assert answer.status_code == 401

    @pytest.mark.parametrize(("scopes", "secret"), [([], None), (["administer"], None), (["read"], "short")])
    def test_a_token_that_cannot_be_is_refused(
        self, engine: Engine, scopes: list[str], secret: str | None
    ) -> None:
        with pytest.raises(RefusedError), writing(engine) as session:
            machines.set_token(session, "level-2", scopes, by="tests", secret=secret)


def test_secrets_are_kept_as_hashes_alone(client: TestClient, engine: Engine) -> None:
    account(engine, "viewer")
    log_in(client, "viewer")
    secret = str(client.headers["Authorization"]).removeprefix("Bearer ")

    with reading(engine) as session:
        kept: list[Any] = [session.exec(select(User)).one().password_hash]
        kept += [session.exec(select(MachineToken)).one().secret_hash]
        kept += session.connection().execute(text("SELECT secret_hash FROM login_sessions")).scalars().all()

    assert kept[0].startswith("$argon2id$")
    assert not {secret, PASSWORD, client.cookies["session"]} & set(kept)
    assert [len(found) for found in kept[1:]] == [64, 64]


def test_who_did_what_is_written_down(client: TestClient, engine: Engine) -> None:
    account(engine, "admin")
    log_in(client, "admin", "wrong")
    log_in(client, "admin")
    del client.headers["Authorization"]

    log = client.get("/api/v1/audit?limit=3").json()
    older = client.get(f"/api/v1/audit?before={log['next']}").json()

    assert [(entry["actor"], entry["action"]) for entry in log["entries"]] == [
        ("admin", "login"),
        ("admin", "login failed"),
        ("tests", "user set"),
    ]
    assert [entry["action"] for entry in older["entries"]] == ["token set"]
    with reading(engine) as session:
        assert PASSWORD not in str(session.exec(select(AuditEntry.detail)).all())
