"""What a technologist keeps and the plant updates: grades, additives, lots, prices, the handbook rule."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel

from backend.database import UtcDateTime


class Grade(SQLModel, table=True):
    __tablename__ = "grades"

    plant_id: str = Field(primary_key=True)
    grade: str = Field(primary_key=True)
    valid_from: datetime = Field(sa_type=UtcDateTime, primary_key=True)
    windows: dict[str, Any] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))
    forbidden_additives: list[str] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))


class AdditiveRecord(SQLModel, table=True):
    """An additive with the lot that is in its bin.

    Its stock is what the plant told last; null is unlimited.
    """

    __tablename__ = "additives"

    plant_id: str = Field(primary_key=True)
    additive: str = Field(primary_key=True)
    position: int
    lot: str | None = None
    lot_received_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    assay: dict[str, float] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))
    stock_kg: float | None = None
    stock_counted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    min_kg: float
    max_kg: float | None = None
    increment_kg: float
    metallic_yield: float
    chill_c_per_kg_t: float | None = None
    available_at: datetime = Field(sa_type=UtcDateTime)


class Lot(SQLModel, table=True):
    """A lot's certificate. Kept when the bin holds another lot, for what was weighed from it."""

    __tablename__ = "lots"

    plant_id: str = Field(primary_key=True)
    additive: str = Field(primary_key=True)
    lot: str = Field(primary_key=True)
    assay: dict[str, float] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))
    received_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    available_at: datetime = Field(sa_type=UtcDateTime)


class StockMovement(SQLModel, table=True):
    """Kilograms that came, were counted, or were weighed out; `kg` of a count is what was there."""

    __tablename__ = "stock_movements"
    __table_args__ = (Index("ix_stock_movements_of", "plant_id", "additive", "moved_at"),)

    id: int | None = Field(default=None, primary_key=True)
    plant_id: str
    additive: str
    lot: str | None = None
    kind: str
    kg: float
    moved_at: datetime = Field(sa_type=UtcDateTime)
    available_at: datetime = Field(sa_type=UtcDateTime)
    heat_id: int | None = Field(default=None, foreign_key="heats.id")


class Price(SQLModel, table=True):
    __tablename__ = "prices"

    plant_id: str = Field(primary_key=True)
    additive: str = Field(primary_key=True)
    valid_from: datetime = Field(sa_type=UtcDateTime, primary_key=True)
    amount: float
    currency: str
    available_at: datetime = Field(sa_type=UtcDateTime)


class HandbookRule(SQLModel, table=True):
    """The plant's rule as it was given (handbook-rule.v1)."""

    __tablename__ = "handbook_rules"

    plant_id: str = Field(primary_key=True)
    document: dict[str, Any] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))


class MasterDataVersion(SQLModel, table=True):
    """Another one with every change of what is kept, stock apart: what was read under it still holds."""

    __tablename__ = "master_data_versions"

    plant_id: str = Field(primary_key=True)
    version: str
    changed_at: datetime = Field(sa_type=UtcDateTime)


class MasterDataChange(SQLModel, table=True):
    """Who changed what by hand, and when; `before` is null where it is new."""

    __tablename__ = "master_data_changes"
    __table_args__ = (Index("ix_master_data_changes_of", "plant_id", "kind", "name", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    plant_id: str
    changed_at: datetime = Field(sa_type=UtcDateTime)
    changed_by: str
    kind: str
    name: str
    before: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    after: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
