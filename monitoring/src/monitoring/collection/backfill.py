"""Other doors into the lake than the bus: a file of completed heats (the backend's export), and what was kept
aside and can be read by now. Exactly once like the bus: by event id and by revision of the treatment.
"""

import hashlib
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl

from monitoring.collection.bus import Message
from monitoring.collection.collector import quarantined, sort_messages
from monitoring.collection.duplicates import StoredEvents
from monitoring.errors import UnreadableFileError
from monitoring.events import EVENT_TYPE, RECOMMENDATION_TYPE
from monitoring.lake.tables import Lake, append, open_table, position, scan

REPLAYED = "QUARANTINE"  # in place of a stream's identity
BATCH_LINES = 2000
HASH_BYTES = 1 << 20

log = logging.getLogger(__name__)


class Taken(NamedTuple):
    """What became of the events: new in the lake, known to it already, refused."""

    new: int
    known: int
    refused: int


def backfill(lake: Lake, file: Path) -> Taken:
    """Take a file of `product.heat.completed.v1`, one event a line, into the lake.

    The position is the line, kept with the rows under the hash of the file: a run that was cut short goes on
    where it stopped, and one that is repeated takes nothing. Lines that are no event go to quarantine.
    Raises UnreadableFileError.
    """
    stream = f"FILE {_sha256(file)}"
    heats, quarantine = open_table(lake, "heats"), open_table(lake, "quarantine")
    stored = StoredEvents(heats)
    done, kept = position(heats, stream), position(quarantine, stream)
    taken = Taken(0, 0, 0)
    with file.open("rb") as lines:
        numbered = enumerate(lines, start=1)
        for batch in _batches(Message(n, line) for n, line in numbered if n > done and line.strip()):
            upto = batch[-1].sequence
            rows, _, refused = sort_messages(batch, stream)
            if aside := [quarantined(one, stream) for one in refused if one.message.sequence > kept]:
                append(quarantine, aside, stream=stream, after=kept, upto=upto)
                kept = upto
            new = stored.new_among(rows)
            append(heats, new, stream=stream, after=done, upto=upto)
            stored.remember(new)
            done = upto
            counted = Taken(len(new), len(rows) - len(new), len(aside))
            taken = Taken(*map(sum, zip(taken, counted, strict=True)))
    return taken


def replay(lake: Lake) -> Taken:
    """Read again what the bus or a file had brought and was kept aside; what is valid by now goes into the
    lake and leaves the quarantine: completed heats, and what shadows said.

    The rows go first: a run that is cut short in between finds them known the next time.
    """
    heats, shadows = open_table(lake, "heats"), open_table(lake, "shadows")
    quarantine = open_table(lake, "quarantine")
    aside = scan(quarantine, "quarantine").filter(pl.col("origin") == "bus").collect()
    messages = [_kept(n, row["row"].encode()) for n, row in enumerate(aside.iter_rows(named=True))]
    rows, said, refused = sort_messages(messages, REPLAYED)
    new = StoredEvents(heats).new_among(rows)
    known = set(scan(shadows, "shadows").select("event_id").collect()["event_id"])
    new_said = list({row["event_id"]: row for row in said if row["event_id"] not in known}.values())
    for table, found in ((heats, new), (shadows, new_said)):
        if found:
            after = position(table, REPLAYED)
            numbered = [row | {"stream_seq": after + n} for n, row in enumerate(found, start=1)]
            append(table, numbered, stream=REPLAYED, after=after, upto=after + len(found))
    still = {one.message.sequence for one in refused}
    done = aside.filter(~pl.int_range(pl.len()).is_in(still))
    for where in done["where"]:
        literal = where.replace("'", "''")
        quarantine.delete(f"origin = 'bus' AND `where` = '{literal}'")
    taken = len(new) + len(new_said)
    return Taken(taken, len(rows) + len(said) - taken, len(refused))


def _kept(number: int, content: bytes) -> Message:
    """A message as it was kept; its type says which it is, and one that tells none is a completed heat."""
    try:
        event_type = msgspec.json.decode(content, type=_Typed).type
    except msgspec.MsgspecError:
        event_type = EVENT_TYPE
    return Message(number, content, RECOMMENDATION_TYPE if event_type == RECOMMENDATION_TYPE else EVENT_TYPE)


class _Typed(msgspec.Struct):
    type: str


def _batches(messages: Iterator[Message]) -> Iterator[list[Message]]:
    while batch := list(itertools.islice(messages, BATCH_LINES)):
        yield batch


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    try:
        with file.open("rb") as content:
            while block := content.read(HASH_BYTES):
                digest.update(block)
    except OSError as error:
        raise UnreadableFileError(
            str(error), where=str(file), allowed="a file of completed heats, one JSON event a line"
        ) from error
    return digest.hexdigest()
