"""Logs as JSON lines, with the treatment they are about, so that a heat is found in all of them."""

import logging
from datetime import UTC, datetime

import orjson


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, message, and what the call gave as `extra={"told": {...}}`."""

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
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def log_json_lines() -> None:
    """Write everything from INFO upwards to standard error, a JSON object a line."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
