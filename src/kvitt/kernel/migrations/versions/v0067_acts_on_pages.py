"""Approvals know people whom an issuer knows. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0067"
down_revision = "0066"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
