"""A reason for each addition that differs; events that were heard are found by their age

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decisions", sa.Column("reasons", sa.JSON(none_as_null=True), nullable=True))
    op.create_index("ix_received_events_at", "received_events", ["received_at"])


def downgrade() -> None:
    op.drop_index("ix_received_events_at", "received_events")
    op.drop_column("decisions", "reasons")
