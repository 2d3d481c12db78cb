"""Heats are searched by number, grade and day

Revision: 0007, after 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_heats_heat_no": ["heat_no", "id"],
    "ix_heats_grade_id": ["grade", "id"],
    "ix_heats_registered_at": ["registered_at", "id"],
}


def upgrade() -> None:
    for name, columns in INDEXES.items():
        op.create_index(name, "heats", columns)


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, "heats")
