"""The commands that make and close accounts and tokens, for whoever has the database."""

import argparse
import secrets
from pathlib import Path

import orjson
from sqlalchemy import Engine

from backend.access import machines, people
from backend.access.rules import ROLES, SCOPES
from backend.access.schemas import AccessFile
from backend.database import writing
from backend.errors import BackendError, UnknownError, validate

BY = "command line"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    access = commands.add_parser("access", help="make the accounts and tokens that a file names (JSON)")
    access.add_argument("file", type=Path)
    user = commands.add_parser("user", help="people's accounts").add_subparsers(dest="act", required=True)
    setting = user.add_parser("set", help="make an account, or give it another role and password")
    setting.add_argument("name")
    setting.add_argument("--role", required=True, choices=ROLES)
    setting.add_argument("--password-file", type=Path, help="(default: a password is made and printed)")
    user.add_parser("disable", help="close an account").add_argument("name")
    token = commands.add_parser("token", help="machines' tokens").add_subparsers(dest="act", required=True)
    making = token.add_parser("set", help="make a token, or put another in its place")
    making.add_argument("name")
    making.add_argument("--scope", required=True, action="append", choices=SCOPES)
    making.add_argument("--token-file", type=Path, help="(default: a token is made and printed)")
    token.add_parser("revoke", help="from now on it opens nothing").add_argument("name")


def run(given: argparse.Namespace, engine: Engine) -> None:
    with writing(engine) as session:
        match given.command, getattr(given, "act", None):
            case "access", _:
                named = validate(AccessFile, _json(given.file))
                for user in named.users:
                    people.set_user(session, user.name, user.role, user.password, by=BY)
                for token in named.tokens:
                    machines.set_token(session, token.name, token.scopes, by=BY, secret=token.secret)
            case "user", "set":
                made = None if given.password_file else secrets.token_urlsafe(12)
                people.set_user(session, given.name, given.role, made or _read(given.password_file), by=BY)
                print(made or f"{given.name} is {given.role}")
            case "user", _:
                if not people.disable_user(session, given.name, by=BY):
                    raise UnknownError(where="name", what=f"there is no user {given.name}", allowed="a user")
            case _, "set":
                secret = _read(given.token_file) if given.token_file else None
                made = machines.set_token(session, given.name, given.scope, by=BY, secret=secret)
                print(f"{given.name} may {', '.join(given.scope)}" if secret else made)
            case _:
                if not machines.revoke_token(session, given.name, by=BY):
                    raise UnknownError(
                        where="name", what=f"there is no token {given.name} in use", allowed="a token"
                    )


def _json(file: Path) -> object:
    try:
        return orjson.loads(_read(file))
    except orjson.JSONDecodeError as broken:
        raise BackendError(where=str(file), what=f"not JSON: {broken}", allowed="users and tokens") from None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as missing:
        raise BackendError(
            where=str(file), what=str(missing.strerror), allowed="a file that can be read"
        ) from None
