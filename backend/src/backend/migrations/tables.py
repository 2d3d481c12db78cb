"""Every table of the backend, in one place for Alembic."""

from backend.access.tables import AuditEntry, LoginFailure, LoginSession, MachineToken, User
from backend.additions.tables import WeighedRecord
from backend.completions.tables import Completion
from backend.decisions.tables import Decision
from backend.heats.tables import HeatRecord
from backend.intake.tables import ParkedEvent, ReceivedEvent
from backend.master_data.tables import (
    AdditiveRecord,
    Grade,
    HandbookRule,
    Lot,
    MasterDataChange,
    MasterDataVersion,
    Price,
    StockMovement,
)
from backend.outbox.tables import OutboxEvent
from backend.predictions.tables import Prediction
from backend.recommendations.tables import Recommendation
from backend.samples.tables import SampleRecord
from backend.tasks.tables import Task

ALL = (
    User,
    LoginSession,
    LoginFailure,
    MachineToken,
    AuditEntry,
    HeatRecord,
    Recommendation,
    Decision,
    WeighedRecord,
    SampleRecord,
    Prediction,
    Completion,
    Task,
    OutboxEvent,
    ReceivedEvent,
    ParkedEvent,
    Grade,
    AdditiveRecord,
    Lot,
    Price,
    StockMovement,
    HandbookRule,
    MasterDataVersion,
    MasterDataChange,
)
