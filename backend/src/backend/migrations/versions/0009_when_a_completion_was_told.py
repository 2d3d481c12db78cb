"""When the revision of a completed heat that is in force was told, so that it can be told again

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op

from backend.database import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("completions", sa.Column("available_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("completions", "available_at")
