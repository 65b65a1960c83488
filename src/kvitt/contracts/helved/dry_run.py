"""Records of the dry-run topics that need no simulation by the rail (helved §2.10)."""

import msgspec

from kvitt.disbursement.values import Scheme


class _Info(msgspec.Struct, tag="info", tag_field="@type"):
    status: str
    fagsystem: str
    message: str


def encode_no_change(scheme: Scheme) -> bytes:
    """That a dry run succeeded and would change nothing."""
    text = "Simuleringen er utført uten posteringer: det er ingen forskjell fra det som allerede er utbetalt eller godkjent."
    return msgspec.json.encode(_Info("OK_UTEN_ENDRING", scheme.value, text))
