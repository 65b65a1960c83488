"""The names of the topics, who may be heard on them, and the headers of their records (helved §1, rapid §1)."""

from collections.abc import Iterable, Sequence

import msgspec

from kvitt.disbursement.values import Scheme

PARTITIONS = 3

EXTERNAL_INPUTS = {
    Scheme.DAGPENGER: "teamdagpenger.utbetaling.v1",
    Scheme.AAP: "aap.utbetaling.v1",
    Scheme.TILLEGGSSTONADER: "tilleggsstonader.utbetaling.v1",
    Scheme.HISTORISK: "historisk.utbetaling.v1",
    Scheme.VALP: "team-mulighetsrommet.tilskudd.utbetaling-v1",
}
INTERNAL_INPUTS = {
    Scheme.DAGPENGER: "helved.utbetalinger-dp.v1",
    Scheme.AAP: "helved.utbetalinger-aap.v1",
    Scheme.TILLEGGSSTONADER: "helved.utbetalinger-ts.v1",
    Scheme.HISTORISK: "helved.utbetalinger-historisk.v1",
    Scheme.VALP: "helved.utbetalinger-valp.v1",
    Scheme.TILTAKSPENGER: "helved.utbetalinger-tp.v1",
}
SCHEME_OF_INPUT = {topic: scheme for table in (EXTERNAL_INPUTS, INTERNAL_INPUTS) for scheme, topic in table.items()}
"""The topics on which only inputs are, with the scheme of all that stands there."""

RAPID = "tbd.rapid.v1"
"""The rapid, whatever its configured name outside: needs come in on it, and answers and events go out on it (rapid §1)."""
SCHEME_OF_SOURCE = {**SCHEME_OF_INPUT, RAPID: Scheme.SYKEPENGER}
"""The scheme of everything that may be taken in, by the topic it came on."""

PENDING_PAYMENTS = "helved.pending-utbetalinger.v1"
PAYMENTS = "helved.utbetalinger.v1"
CASES = "helved.saker.v1"
ORDERS = "helved.oppdrag.v1"
STATUSES = "helved.status.v1"
SIMULATIONS = "helved.simuleringer.v1"
DRY_RUNS = {
    Scheme.AAP: "helved.dryrun-aap.v1",
    Scheme.DAGPENGER: "helved.dryrun-dp.v1",
    Scheme.TILLEGGSSTONADER: "helved.dryrun-ts.v1",
    Scheme.TILTAKSPENGER: "helved.dryrun-tp.v1",
}
PAYOUT_EVENTS = "pm-events-payout"
"""What happens to payouts, keyed by payout id (payouts §5)."""
HELVED_OUTPUTS = (PENDING_PAYMENTS, PAYMENTS, CASES, ORDERS, STATUSES, SIMULATIONS, *DRY_RUNS.values())
OUTPUTS = (*HELVED_OUTPUTS, PAYOUT_EVENTS)
ALL_TOPICS = (*SCHEME_OF_INPUT, *OUTPUTS, RAPID)

Header = tuple[str, str]
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[Header, ...])


def primary_input(scheme: Scheme) -> str:
    """The topic on which a sender of this scheme is heard; tiltakspenger has only an internal one, sykepenger the rapid."""
    return EXTERNAL_INPUTS.get(scheme) or INTERNAL_INPUTS.get(scheme, RAPID)


def named_input(topic: str) -> str:
    """The name by which a sender knows the topic that its message came in on: the external one where there is one."""
    return primary_input(SCHEME_OF_SOURCE[topic])


_OURS = frozenset(
    name.casefold()
    for name in (
        *("original-key", "fagsystem", "uids", "hash_key", "reason", "event-id", "x-ts", "x-st", "x-sy"),
        *("resend", "skip-dedup", "retries", "maxRetries", "barrierStartedAt", "barrierMaxWaitMs"),
    )
)
"""Headers by which the hub tells readers something, or which they take for the hub's word; in any case of letters."""


def carried(headers: Iterable[Header]) -> list[Header]:
    """The sender's headers that go on with whatever its message leads to: all but those that would pass for the hub's own."""
    return [header for header in headers if header[0].casefold() not in _OURS]


def encode_headers(headers: Iterable[Header]) -> bytes:
    """Headers as the store and the embedded log keep them: a JSON list of pairs, doubles allowed, the last value counts."""
    return _encoder.encode(list(headers))


def decode_headers(stored: bytes | None) -> Sequence[Header]:
    """The pairs of `encode_headers`; none for nothing, or for anything else that a writer of the log may have put there."""
    try:
        return _decoder.decode(stored) if stored else ()
    except (msgspec.DecodeError, RecursionError):
        return ()
