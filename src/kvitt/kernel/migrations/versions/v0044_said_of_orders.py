"""The words in which rails speak of orders that they simulate, for those alone who may read of persons. The statements are in the SQL file
beside."""

from kvitt.kernel.migrations import apply

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
