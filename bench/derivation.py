"""Derivation alone: what the rules cost, without reading, storing or sending anything."""

import time
from datetime import datetime

from bench.messages import dp
from bench.place import Place
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from kvitt.contracts.helved.messages import StreamMessage
from kvitt.contracts.helved.read import decode, instructions_of
from kvitt.disbursement.derive.micro_chained import NEW_CASE, derive
from kvitt.disbursement.instructions import PaymentInstructions
from kvitt.disbursement.values import Refusal, Scheme

LEAST_PER_SECOND = 10_000
_MADE_AT = datetime(2025, 7, 4, 9, 15)  # noqa: DTZ001 - the rail's clock has no zone


def _payment_of(message: StreamMessage) -> None:
    instructions = instructions_of(message, "key")
    assert isinstance(instructions, PaymentInstructions), "the made-up messages can be read"
    orders = derive(instructions, NEW_CASE, _MADE_AT)
    assert not isinstance(orders, Refusal), "the made-up messages are sound"


def _per_second(messages: list[StreamMessage]) -> float:
    # The time of the processor, so that other work on the machine does not count.
    started = time.process_time()
    for message in messages:
        _payment_of(message)
    return len(messages) / (time.process_time() - started)


def run(_: Place, size: Size) -> None:
    """Decoded messages of dagpenger with 14 days become instructions and orders; the best of some rounds counts."""
    each = size.derivations // size.rounds
    rounds = [[decode(Scheme.DAGPENGER, dp(f"case-{one}-{number}")) for number in range(each)] for one in range(size.rounds)]
    rates = [_per_second(messages) for messages in rounds]
    report(
        Figure(
            name="derivation",
            value=rounded(max(rates)),
            unit="payments/s on one core",
            on=f"{size.derivations} payments of 14 days",
            samples=[rounded(rate) for rate in rates],
            target=Target(least=LEAST_PER_SECOND),
        )
    )
