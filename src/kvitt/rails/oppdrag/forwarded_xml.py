"""A forwarded order as the XML that the rail takes in its older form, to the byte as the contract shows it (rapid §3.1).

The root has no namespace, because the rail fails on one; the order of elements matters; what is absent or empty is left out.
"""

from datetime import date, datetime
from typing import Final

from kvitt.disbursement.values import (
    ForwardedLine,
    ForwardedOrder,
    Order,
    OrderLine,
)
from kvitt.formats.times import mapper_text
from kvitt.rails.oppdrag.order_xml import RATE_CODES

EMPLOYER_AREA: Final = "SPREF"
PERSON_AREA: Final = "SP"
COMPONENT: Final = "SP"
OFFICE: Final = "8020"
BEGINNING: Final = "1970-01-01"

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", "\r": "&#xd;"})


def encode(order: Order) -> bytes:
    """The order's XML, UTF-8, its document on one line."""
    own = _given(order)
    content = (
        _leaf("kodeFagomraade", order.area)
        + _leaf("kodeEndring", own.change.value)
        + _leaf("fagsystemId", order.case_id)
        + _leaf("oppdragGjelderId", order.person)
        + _leaf("saksbehId", order.caseworker)
        + _leaf("kodeAksjon", "1")
        + _leaf("utbetFrekvens", order.frequency)
        + _leaf("datoOppdragGjelderFom", BEGINNING)
        + _tree(
            "avstemming-115",
            _leaf("nokkelAvstemming", order.reconciliation_key)
            + _leaf("tidspktMelding", correlation_time(order.made_at))
            + _leaf("kodeKomponent", COMPONENT),
        )
        + _tree("oppdrags-enhet-120", _leaf("enhet", OFFICE) + _leaf("typeEnhet", "BOS") + _leaf("datoEnhetFom", BEGINNING))
        + "".join([_line(line, order, own) for line in order.lines])
    )
    return f'<?xml version="1.0" encoding="utf-8"?>\n{_tree("Oppdrag", _tree("oppdrag-110", content))}'.encode()


def _given(order: Order) -> ForwardedOrder:
    assert order.forwarded is not None, "only forwarded orders have this form"
    return order.forwarded


def _given_line(line: OrderLine) -> ForwardedLine:
    assert line.forwarded is not None, "the lines of forwarded orders are their senders'"
    return line.forwarded


def correlation_time(at: datetime) -> str:
    """`tidspktMelding`: when the order was made, as it stands in the XML and comes back in the receipt."""
    return mapper_text(at)


def _line(line: OrderLine, order: Order, of_order: ForwardedOrder) -> str:
    own = _given_line(line)
    return _tree(
        "oppdrags-linje-150",
        _leaf("delytelseId", own.number)
        + _leaf("refDelytelseId", own.ref_number)
        + _leaf("refFagsystemId", own.ref_case.strip() if own.ref_case else None)
        + _leaf("kodeEndringLinje", own.change.value)
        + _leaf("kodeKlassifik", line.class_code)
        + _leaf("datoKlassifikFom", own.class_from)
        + _leaf("datoVedtakFom", line.start)
        + _leaf("datoVedtakTom", line.end)
        + _leaf("kodeStatusLinje", "OPPH" if own.ceased else None)
        + _leaf("datoStatusFom", own.ceased_from)
        + _leaf("sats", abs(line.amount))
        + _leaf("henvisning", line.payment_id)
        + _leaf("fradragTillegg", "T" if line.amount >= 0 else "F")
        + _leaf("typeSats", RATE_CODES[line.rate_type])
        + _leaf("saksbehId", line.caseworker)
        + _leaf("brukKjoreplan", "N")
        + _recipient(line, order, of_order)
        + (_tree("grad-170", _leaf("typeGrad", "UFOR") + _leaf("grad", own.grade)) if own.grade is not None else "")
        + _tree("attestant-180", _leaf("attestantId", line.approver)),
    )


def _recipient(line: OrderLine, order: Order, own: ForwardedOrder) -> str:
    """Who is paid: the person himself, or the employer who has paid him; it stands before the grade, or the rail refuses."""
    if order.area == PERSON_AREA:
        return _leaf("utbetalesTilId", own.recipient)
    employer = _leaf("refunderesId", own.recipient.rjust(11, "0"))
    return _tree("refusjonsinfo-156", employer + _leaf("datoFom", line.start) + _leaf("maksDato", own.last_day))


def _tree(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"


def _leaf(name: str, value: str | int | date | None) -> str:
    """An element with escaped text; nothing for None and for empty text."""
    if value is None or value == "":
        return ""
    text = str(value).translate(_ESCAPES)
    return _tree(name, text.replace("]]>", "]]&gt;"))  # the one place where XML itself forbids a bare `>`
