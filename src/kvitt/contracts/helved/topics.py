"""The topics of the case streams, whose they are, and the headers that go on from a sender's record (helved §1)."""

from collections.abc import Iterable

from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import Header, Keeping, TopicTerms

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
OUTPUTS = (PENDING_PAYMENTS, PAYMENTS, CASES, ORDERS, STATUSES, SIMULATIONS, *DRY_RUNS.values())
TOPICS = (
    *(TopicTerms(topic, Keeping.OWNERS) for topic in EXTERNAL_INPUTS.values()),
    *(TopicTerms(topic) for topic in INTERNAL_INPUTS.values()),
    *(TopicTerms(topic, Keeping.COMPACT if topic in (PAYMENTS, CASES) else Keeping.COMPACT_AND_DELETE) for topic in OUTPUTS),
)
"""All of them, as they are kept (helved §1.1, §1.2)."""


def primary_input(scheme: Scheme) -> str:
    """The topic on which a sender of this scheme is heard; tiltakspenger has only an internal one."""
    return EXTERNAL_INPUTS.get(scheme) or INTERNAL_INPUTS[scheme]


def named_input(topic: str) -> str:
    """The name by which a sender knows the topic that its message came in on: the external one where there is one."""
    return primary_input(SCHEME_OF_INPUT[topic])


_OURS = frozenset(
    name.casefold()
    for name in (
        *("original-key", "fagsystem", "uids", "hash_key", "reason", "event-id", "x-ts", "x-st", "x-sy"),
        *("resend", "skip-dedup", "retries", "maxRetries", "barrierStartedAt", "barrierMaxWaitMs"),
    )
)
"""Headers by which the hub says something to readers, or which they take for the hub's word; in any case of letters."""


def carried(headers: Iterable[Header]) -> list[Header]:
    """The sender's headers that go on with whatever its message leads to: all but those that would pass for the hub's own."""
    return [header for header in headers if header[0].casefold() not in _OURS]
