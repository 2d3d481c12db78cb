"""When a heat changed, what was asked of a shadow, and movements of stock

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("heats", schema=None) as batch_op:
        batch_op.add_column(sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE heats SET changed_at = available_at")
    with op.batch_alter_table("heats", schema=None) as batch_op:
        batch_op.alter_column("changed_at", existing_type=sa.DateTime(timezone=True), nullable=False)
        batch_op.create_index("ix_heats_changed_at", ["changed_at"])
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("request", sa.Text(), nullable=True))
    with op.batch_alter_table("recommendations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("asked_key", sa.String(), nullable=True))
    op.create_table(
        "stock_movements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("plant_id", sa.String(), nullable=False),
        sa.Column("additive", sa.String(), nullable=False),
        sa.Column("lot", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("kg", sa.Float(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heat_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["heat_id"], ["heats.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_stock_movements_of", "stock_movements", ["plant_id", "additive", "moved_at"])


def downgrade() -> None:
    op.drop_index("ix_stock_movements_of", "stock_movements")
    op.drop_table("stock_movements")
    with op.batch_alter_table("recommendations", schema=None) as batch_op:
        batch_op.drop_column("asked_key")
    op.execute("DELETE FROM tasks WHERE kind = 'shadow'")
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.drop_column("request")
    with op.batch_alter_table("heats", schema=None) as batch_op:
        batch_op.drop_index("ix_heats_changed_at")
        batch_op.drop_column("changed_at")
