"""What the chain confirmed, and the settings of the house."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, names in COLUMNS.items():
        for name, kind in names.items():
            op.add_column(table, sa.Column(name, kind, nullable=True))
    # Until now there was no chain but the embedded one, where every block is final.
    op.execute("UPDATE checkpoints SET confirmed_at = sealed_at WHERE anchor_block IS NOT NULL")
    for act, problem in (
        op.get_bind()
        .execute(sa.text("SELECT id, problem FROM acts WHERE problem IS NOT NULL"))
        .all()
    ):
        told = json.dumps({"facts": {"told": problem}, "template": "{told}"}, ensure_ascii=False)
        op.get_bind().execute(
            sa.text("UPDATE acts SET problem = :told WHERE id = :id"), {"id": act, "told": told}
        )
    op.execute("UPDATE acts SET confirmed_at = resolved_at WHERE state = 'effective'")
    op.create_table(
        "settings",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )


def downgrade() -> None:
    op.drop_table("settings")
    for table, names in COLUMNS.items():
        for name in names:
            op.drop_column(table, name)


COLUMNS = {
    "acts": {
        "block_hash": sa.Text(),
        "confirmed_at": sa.DateTime(timezone=True),
        "refusal": sa.Text(),
    },
    "checkpoints": {"confirmed_at": sa.DateTime(timezone=True)},
}
