"""Made-up messages of the stream contract, as bytes, for any number of cases and reporting periods."""

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import NAMESPACE_OID, uuid5
from zlib import crc32

import msgspec

from kvitt.contracts.helved.topics import EXTERNAL_INPUTS
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import PARTITIONS

DP_TOPIC = EXTERNAL_INPUTS[Scheme.DAGPENGER]
TS_TOPIC = EXTERNAL_INPUTS[Scheme.TILLEGGSSTONADER]
DAYS_PER_PERIOD = 14
_FIRST_MONDAY = date(2005, 1, 3)
_encode = msgspec.json.Encoder().encode


def person_of(case_id: str) -> str:
    """Each case is of a person of its own, as nearly all are."""
    return f"{crc32(case_id.encode()):011}"


def dp(case_id: str, periods: int = 1, amount: int = 553) -> bytes:
    """A whole-case message of dagpenger: `periods` reporting periods of 14 days, weekends without money, oldest first."""
    days = [
        {
            "meldeperiode": f"{132_460_000 + period}",
            "dato": _FIRST_MONDAY + timedelta(days=DAYS_PER_PERIOD * period + day),
            "sats": 1077,
            "utbetaltBeløp": amount if day % 7 < 5 else 0,
            "utbetalingstype": "Dagpenger",
        }
        for period in range(periods)
        for day in range(DAYS_PER_PERIOD)
    ]
    return _encode(
        {
            "sakId": case_id,
            "behandlingId": f"B{periods}",
            "ident": person_of(case_id),
            "vedtakstidspunktet": "2025-07-04T09:15:30.305852",
            "utbetalinger": days,
        }
    )


def ts(case_id: str, payments: Sequence[int], decision: str = "B1", amount: int = 1000) -> bytes:
    """A message of tilleggsstønader about the named payments of a case, one month each."""
    entries = [
        {
            "id": uuid5(NAMESPACE_OID, f"{case_id} {number}"),
            "stønad": "TILSYN_BARN_AAP",
            "perioder": [{"fom": date(2024, 1, 1), "tom": date(2024, 1, 31), "beløp": amount}],
        }
        for number in payments
    ]
    return _encode(
        {
            "sakId": case_id,
            "behandlingId": decision,
            "personident": person_of(case_id),
            "vedtakstidspunkt": "2025-07-04T09:15:30.305852",
            "periodetype": "EN_GANG",
            "utbetalinger": entries,
        }
    )


class Feed:
    """Gives each message of a database a position of its own in its topic, in turn on the partitions."""

    def __init__(self) -> None:
        self._given = 0

    def new_cases(self, count: int) -> list[Incoming]:
        """A dagpenger message for each of `count` cases that are not there yet."""
        return [self.incoming(DP_TOPIC, dp(f"case-{self._given}")) for _ in range(count)]

    def incoming(self, topic: str, body: bytes) -> Incoming:
        """The body as the next record, under a key of its own."""
        position, partition = divmod(self._given, PARTITIONS)
        self._given += 1
        return Incoming(topic, partition, position, f"key-{self._given}".encode(), body)
