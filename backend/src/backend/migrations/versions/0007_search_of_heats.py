"""Heats are searched by number, grade, station and day

Revision: 0007, after 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_heats_heat_no": ["heat_no", "id"],
    "ix_heats_registered": ["registered_at", "id"],
    "ix_heats_grade_registered": ["grade", "registered_at", "id"],
    "ix_heats_station_registered": ["station", "registered_at", "id"],
}


def upgrade() -> None:
    for name, columns in INDEXES.items():
        op.create_index(name, "heats", columns)


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, "heats")
