"""First tables

Revision: 0001, after None
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "additives",
        sa.Column("plant_id", sa.String(), nullable=False),
        sa.Column("additive", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("lot", sa.String(), nullable=True),
        sa.Column("lot_received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("assay", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("stock_kg", sa.Float(), nullable=True),
        sa.Column("stock_counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("min_kg", sa.Float(), nullable=False),
        sa.Column("max_kg", sa.Float(), nullable=True),
        sa.Column("increment_kg", sa.Float(), nullable=False),
        sa.Column("metallic_yield", sa.Float(), nullable=False),
        sa.Column("chill_c_per_kg_t", sa.Float(), nullable=True),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("plant_id", "additive"),
    )
    op.create_table(
        "grades",
        sa.Column("plant_id", sa.String(), nullable=False),
        sa.Column("grade", sa.String(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("windows", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("forbidden_additives", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("plant_id", "grade", "valid_from"),
    )
    op.create_table(
        "handbook_rules",
        sa.Column("plant_id", sa.String(), nullable=False),
        sa.Column("document", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("plant_id"),
    )
    op.create_table(
        "heats",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("plant_id", sa.String(), nullable=False),
        sa.Column("heat_uid", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("treatment_no", sa.Integer(), nullable=False),
        sa.Column("heat_no", sa.String(), nullable=False),
        sa.Column("grade", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("heat", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("diversion", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("recommendation_id", sa.String(), nullable=True),
        sa.Column("decision_id", sa.String(), nullable=True),
        sa.Column("weighed_no", sa.Integer(), nullable=False),
        sa.Column("completed_revision", sa.Integer(), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("plant_id", "heat_uid", "station", "treatment_no"),
    )
    with op.batch_alter_table("heats", schema=None) as batch_op:
        batch_op.create_index("ix_heats_state_id", ["state", "id"], unique=False)

    op.create_table(
        "lots",
        sa.Column("plant_id", sa.String(), nullable=False),
        sa.Column("additive", sa.String(), nullable=False),
        sa.Column("lot", sa.String(), nullable=False),
        sa.Column("assay", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("plant_id", "additive", "lot"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_unpublished",
            ["id"],
            unique=False,
            sqlite_where=sa.text("published_at IS NULL"),
            postgresql_where=sa.text("published_at IS NULL"),
        )

    op.create_table(
        "parked_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("plant_id", sa.String(), nullable=False),
        sa.Column("heat_uid", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("treatment_no", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refused", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("parked_events", schema=None) as batch_op:
        batch_op.create_index(
            "ix_parked_treatment", ["heat_uid", "plant_id", "station", "treatment_no"], unique=False
        )

    op.create_table(
        "prices",
        sa.Column("plant_id", sa.String(), nullable=False),
        sa.Column("additive", sa.String(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amount", sa.Float(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("plant_id", "additive", "valid_from"),
    )
    op.create_table(
        "received_events",
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_table(
        "completions",
        sa.Column("heat_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("plant_id", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recent_heat", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["heat_id"],
            ["heats.id"],
        ),
        sa.PrimaryKeyConstraint("heat_id"),
    )
    with op.batch_alter_table("completions", schema=None) as batch_op:
        batch_op.create_index("ix_completions_recent", ["plant_id", "station", "completed_at"], unique=False)

    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("decision_id", sa.String(), nullable=False),
        sa.Column("heat_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("recommendation_id", sa.String(), nullable=True),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("additions", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("reason_code", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["heat_id"],
            ["heats.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("decision_id"),
        sa.UniqueConstraint("heat_id", "revision"),
    )
    op.create_table(
        "predictions",
        sa.Column("heat_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("weighed_no", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["heat_id"],
            ["heats.id"],
        ),
        sa.PrimaryKeyConstraint("heat_id"),
    )
    op.create_table(
        "recommendations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recommendation_id", sa.String(), nullable=False),
        sa.Column("heat_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heat_revision", sa.Integer(), nullable=False),
        sa.Column("model_version", sa.String(), nullable=True),
        sa.Column("bundle_hash", sa.String(), nullable=True),
        sa.Column("image_digest", sa.String(), nullable=True),
        sa.Column("fallback_reason", sa.String(), nullable=True),
        sa.Column("additions", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("cost", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("answer", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("additives", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("handbook_entry", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["heat_id"],
            ["heats.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("recommendation_id"),
    )
    with op.batch_alter_table("recommendations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recommendations_heat_id"), ["heat_id"], unique=False)

    op.create_table(
        "samples",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("heat_id", sa.Integer(), nullable=False),
        sa.Column("sample_id", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("is_final", sa.Boolean(), nullable=False),
        sa.Column("body", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["heat_id"],
            ["heats.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("heat_id", "sample_id", "revision"),
    )
    op.create_table(
        "tasks",
        sa.Column("heat_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["heat_id"],
            ["heats.id"],
        ),
        sa.PrimaryKeyConstraint("heat_id", "kind"),
    )
    op.create_table(
        "weighed_additions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("heat_id", sa.Integer(), nullable=False),
        sa.Column("addition_id", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["heat_id"],
            ["heats.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("heat_id", "addition_id", "revision"),
    )


def downgrade() -> None:
    op.drop_table("weighed_additions")
    op.drop_table("tasks")
    op.drop_table("samples")
    with op.batch_alter_table("recommendations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_recommendations_heat_id"))

    op.drop_table("recommendations")
    op.drop_table("predictions")
    op.drop_table("decisions")
    with op.batch_alter_table("completions", schema=None) as batch_op:
        batch_op.drop_index("ix_completions_recent")

    op.drop_table("completions")
    op.drop_table("received_events")
    op.drop_table("prices")
    with op.batch_alter_table("parked_events", schema=None) as batch_op:
        batch_op.drop_index("ix_parked_treatment")

    op.drop_table("parked_events")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_outbox_unpublished",
            sqlite_where=sa.text("published_at IS NULL"),
            postgresql_where=sa.text("published_at IS NULL"),
        )

    op.drop_table("outbox")
    op.drop_table("lots")
    with op.batch_alter_table("heats", schema=None) as batch_op:
        batch_op.drop_index("ix_heats_state_id")

    op.drop_table("heats")
    op.drop_table("handbook_rules")
    op.drop_table("grades")
    op.drop_table("additives")
