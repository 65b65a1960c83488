"""StatusReply JSON: the answer to a sender about one key (helved §2.8).

Where a message has orders in several areas, `detaljer.ytelse` is the umbrella's, and each line has two more members behind those of the
contract, which its readers pass over (helved §2.1): its own `ytelse` and, once its order is settled, its `status`, OK or FEILET.
"""

from collections.abc import Sequence
from datetime import date
from operator import attrgetter

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from kvitt.contracts.helved.shapes import Amount
from kvitt.disbursement.answers import (
    Answer,
    DetailLine,
    Details,
    Status,
)
from kvitt.disbursement.catalogue import AREA_OF_NAME, AREAS
from kvitt.disbursement.values import (
    Area,
    DecisionId,
    Order,
    OrderLine,
    Refusal,
    Scheme,
)
from kvitt.errors import Undecodable
from kvitt.formats.json_reading import read
from kvitt.kernel.money import Kroner


class _LineShape(Struct, kw_only=True):
    decision_id: str = field(name="behandlingId")
    start: date = field(name="fom")
    end: date = field(name="tom")
    decided_rate: Amount | None = field(name="vedtakssats", default=None)
    amount: Amount = field(name="beløp")
    class_code: str = field(name="klassekode")
    scheme: str | UnsetType = field(name="ytelse", default=UNSET)
    status: Status | UnsetType = UNSET


class _DetailsShape(Struct):
    scheme: str = field(name="ytelse")
    lines: list[_LineShape] = field(name="linjer")


class _ErrorShape(Struct):
    status: int = field(name="statusCode")
    text: str = field(name="msg")
    doc: str = "https://helved-docs.ansatt.dev.nav.no"
    system: str = "HELVED"


class _StatusShape(Struct):
    status: Status
    details: _DetailsShape | None = field(name="detaljer", default=None)
    error: _ErrorShape | None = None
    dry_run: bool = field(name="simulering", default=False)


_decoder = Decoder(_StatusShape)
_encoder = Encoder()


def encode(answer: Answer) -> bytes:
    """The answer as JSON in the contract's field order, nulls written."""
    error = answer.error
    shape = _StatusShape(
        answer.status,
        _details_shape(answer.details) if answer.details else None,
        _ErrorShape(error.status, error.text, error.doc, error.system) if error else None,
        answer.dry_run,
    )
    return _encoder.encode(shape)


def decode(body: bytes) -> Answer:
    """The answer that the JSON holds; the umbrella name reads as the umbrella area, also when it stood for several. Raises Undecodable."""
    shape = read(_decoder, body)
    error = shape.error
    return Answer(
        shape.status,
        _details(shape.details) if shape.details else None,
        Refusal(error.status, error.text, error.doc, error.system) if error else None,
        shape.dry_run,
    )


def _details_shape(details: Details) -> _DetailsShape:
    name = Scheme.TILLEGGSSTONADER.value if details.area is None else AREAS[details.area].name
    lines = [
        _LineShape(
            decision_id=line.decision_id,
            start=line.start,
            end=line.end,
            decided_rate=line.decided_rate,
            amount=line.amount,
            class_code=line.class_code,
            scheme=AREAS[line.area].name if line.area else UNSET,
            status=line.status or UNSET,
        )
        for line in details.lines
    ]
    return _DetailsShape(name, lines)


def _details(shape: _DetailsShape) -> Details:
    return Details(_area(shape.scheme, "detaljer.ytelse"), tuple([_line(line) for line in shape.lines]))


def _line(shape: _LineShape) -> DetailLine:
    area = None if shape.scheme is UNSET else _area(shape.scheme, "detaljer.linjer.ytelse")
    outcome = None if shape.status is UNSET else shape.status
    return DetailLine(
        DecisionId(shape.decision_id), shape.start, shape.end, shape.decided_rate, shape.amount, shape.class_code, area, outcome
    )


def _area(name: str, place: str) -> Area:
    area = AREA_OF_NAME.get(name)
    if area is None:
        raise Undecodable(place, "is not a known word")
    return area


def _detail(line: OrderLine, area: Area | None) -> DetailLine:
    amount = line.amount if line.ceased_from is None else Kroner(0)
    return DetailLine(line.decision_id, line.start, line.end, line.decided_rate, amount, line.class_code, area)


def details_of(orders: Sequence[Order]) -> Details:
    """The details of the orders of one message: their lines by first day, those of a day in order of sending."""
    of_one = len(orders) == 1
    lines = sorted((_detail(line, None if of_one else order.area) for order in orders for line in order.lines), key=attrgetter("start"))
    return Details(orders[0].area if of_one else None, tuple(lines))


def with_outcome(details: Details, area: Area, status: Status | None) -> Details:
    """The lines of one of several areas with what became of their order; None: nothing certain. Of one area alone nothing changes."""
    return replace(details, lines=tuple(replace(line, status=status) if line.area == area else line for line in details.lines))


def without_outcomes(details: Details) -> Details:
    """As if no order were settled yet."""
    return replace(details, lines=tuple(replace(line, status=None) if line.area else line for line in details.lines))
