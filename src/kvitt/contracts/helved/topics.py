"""The topics of the case streams, and whose they are (helved §1)."""

from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import Keeping, TopicTerms

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
"""On which questions to the rail's simulation were published for others to ask; nothing is any more."""
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
    *(
        TopicTerms(topic, Keeping.COMPACT if topic in (PAYMENTS, CASES) else Keeping.COMPACT_AND_DELETE)
        for topic in OUTPUTS
        if topic != SIMULATIONS
    ),
)
"""All of them, as they are kept (helved §1.1, §1.2)."""


def primary_input(scheme: Scheme) -> str:
    """The topic on which a sender of this scheme is heard; tiltakspenger has only an internal one."""
    return EXTERNAL_INPUTS.get(scheme) or INTERNAL_INPUTS[scheme]


def named_input(topic: str) -> str:
    """The name by which a sender knows the topic that its message came in on: the external one where there is one."""
    return primary_input(SCHEME_OF_INPUT[topic])
