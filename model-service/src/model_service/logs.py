"""Logs as JSON lines, with the heat they are about."""

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, message, what the call gave as `extra={"told": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "told", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def log_json_lines() -> None:
    """Write everything from INFO upwards to standard error, a JSON object a line."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def heat_named_in(body: bytes) -> Any:
    """Return the treatment that a refused or failed body names, as far as it can be read, else None."""
    try:
        return msgspec.json.decode(body, type=_Body).heat.treatment
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class _Heat(msgspec.Struct):
    treatment: Any = None


class _Body(msgspec.Struct):
    heat: _Heat
