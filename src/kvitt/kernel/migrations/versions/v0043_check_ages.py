"""How long an order leaves by what the rail said of it, and how long a question may keep the orders of its case.

The statements are in the SQL file beside.
"""

from kvitt.kernel.migrations import apply

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
