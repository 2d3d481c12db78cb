"""People at the door: accounts, and browsers that are logged in."""

import re
from typing import get_args

from fastapi.testclient import TestClient
from sqlalchemy import Engine

from backend.access import people
from backend.access.rules import Role
from backend.database import writing

PASSWORD = "ladle-furnace-7"  # noqa: S105 - opens nothing but the tests' own accounts


def account(engine: Engine, role: Role, name: str | None = None) -> str:
    """An account with PASSWORD; its name."""
    with writing(engine) as session:
        people.set_user(session, name or role, role, PASSWORD, by="tests")
    return name or role


def accounts(engine: Engine) -> None:
    """One of each role, named as the role."""
    for role in get_args(Role):
        account(engine, role)


def log_in(browser: TestClient, name: str, password: str = PASSWORD) -> int:
    """Send the form of the login page; the status of the answer."""
    sent = {"user": name, "password": password, "next": "/"}
    return browser.post("/login", data=sent, follow_redirects=False).status_code


def csrf_token(browser: TestClient) -> str:
    """What the pages of whoever is logged in carry."""
    found = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', browser.get("/").text)
    assert found is not None
    return found.group(1)
