"""Who may use the backend of this demo: people with one made-up password, and the programs around it."""

import json
import secrets
from pathlib import Path
from typing import Any

from local_runner.folder import write_json

# A person logs in as who he wants to be; what each may do is the backend's business.
PEOPLE = {"steelmaker": "steelmaker", "technologist": "technologist", "admin": "admin", "viewer": "viewer"}
PROGRAMS = {
    "plant-simulator": ["read", "decide"],
    "programs": ["read", "decide", "tell", "keep"],  # tests and load
}


def access_file(demo_dir: Path) -> Path:
    """Return where accounts and tokens are kept, for nobody's eyes but their owner's."""
    return demo_dir / "access.json"


def make_access(demo_dir: Path) -> Path:
    """Make a password and tokens up, once; return their file in the shape that `backend access` reads."""
    file = access_file(demo_dir)
    if not file.exists():
        password = secrets.token_urlsafe(9)
        users = [{"name": name, "role": role, "password": password} for name, role in PEOPLE.items()]
        tokens = [
            {"name": name, "scopes": scopes, "secret": secrets.token_urlsafe(32)}
            for name, scopes in PROGRAMS.items()
        ]
        write_json(file, {"users": users, "tokens": tokens}, mode=0o600)
    return file


def password(demo_dir: Path) -> str:
    """Return the password of everybody in this demo."""
    return str(_read(demo_dir)["users"][0]["password"])


def token(demo_dir: Path, name: str) -> str:
    """Return a program's token."""
    (found,) = [token["secret"] for token in _read(demo_dir)["tokens"] if token["name"] == name]
    return str(found)


def _read(demo_dir: Path) -> Any:
    return json.loads(access_file(demo_dir).read_text())
