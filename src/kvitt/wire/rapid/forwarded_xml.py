"""A need's order as the XML that the rail takes in its older dialect, to the byte as the contract shows it (rapid §3.1).

The root has no namespace, because the rail fails on one; the order of elements matters; what is absent or empty is left out.
"""

from datetime import date, datetime
from typing import Final

from kvitt.rules.needs import Need, NeedLine
from kvitt.wire.rapid.packet import mapper_text
from kvitt.wire.receipt_xml import LineKey

EMPLOYER_AREA: Final = "SPREF"
PERSON_AREA: Final = "SP"
COMPONENT: Final = "SP"
OFFICE: Final = "8020"
BEGINNING: Final = "1970-01-01"

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", "\r": "&#xd;"})


def encode(need: Need, key: int, at: datetime) -> bytes:
    """The order's XML, UTF-8, its document on one line. `key` is the reconciliation key, `at` the Oslo time it was made at."""
    order = (
        _leaf("kodeFagomraade", need.area)
        + _leaf("kodeEndring", need.change.value)
        + _leaf("fagsystemId", need.case_id)
        + _leaf("oppdragGjelderId", need.person)
        + _leaf("saksbehId", need.caseworker)
        + _leaf("kodeAksjon", "1")
        + _leaf("utbetFrekvens", "MND")
        + _leaf("datoOppdragGjelderFom", BEGINNING)
        + _tree(
            "avstemming-115",
            _leaf("nokkelAvstemming", key) + _leaf("tidspktMelding", correlation_time(at)) + _leaf("kodeKomponent", COMPONENT),
        )
        + _tree("oppdrags-enhet-120", _leaf("enhet", OFFICE) + _leaf("typeEnhet", "BOS") + _leaf("datoEnhetFom", BEGINNING))
        + "".join([_line(line, need) for line in need.lines])
    )
    return f'<?xml version="1.0" encoding="utf-8"?>\n{_tree("Oppdrag", _tree("oppdrag-110", order))}'.encode()


def correlation_time(at: datetime) -> str:
    """`tidspktMelding`: when the order was made, as it stands in the XML and comes back in the receipt."""
    return mapper_text(at)


def line_keys(need: Need) -> tuple[LineKey, ...]:
    """What a receipt of this order says of its lines, in their order."""
    return tuple([LineKey(str(line.line_id), line.ceased_from.isoformat() if line.ceased_from else None) for line in need.lines])


def _line(line: NeedLine, need: Need) -> str:
    return _tree(
        "oppdrags-linje-150",
        _leaf("delytelseId", line.line_id)
        + _leaf("refDelytelseId", line.ref_line)
        + _leaf("refFagsystemId", line.ref_case.strip() if line.ref_case else None)
        + _leaf("kodeEndringLinje", line.change.value)
        + _leaf("kodeKlassifik", line.class_code)
        + _leaf("datoKlassifikFom", line.class_from)
        + _leaf("datoVedtakFom", line.start)
        + _leaf("datoVedtakTom", line.end)
        + _leaf("kodeStatusLinje", "OPPH" if line.ceased else None)
        + _leaf("datoStatusFom", line.ceased_from)
        + _leaf("sats", abs(line.amount))
        + _leaf("henvisning", need.payment_id)
        + _leaf("fradragTillegg", "T" if line.amount >= 0 else "F")
        + _leaf("typeSats", line.rate)
        + _leaf("saksbehId", need.caseworker)
        + _leaf("brukKjoreplan", "N")
        + _recipient(line, need)
        + (_tree("grad-170", _leaf("typeGrad", "UFOR") + _leaf("grad", line.grade)) if line.grade is not None else "")
        + _tree("attestant-180", _leaf("attestantId", need.caseworker)),
    )


def _recipient(line: NeedLine, need: Need) -> str:
    """Who is paid: the person himself, or the employer who has paid him; it stands before the grade, or the rail refuses."""
    if need.area == PERSON_AREA:
        return _leaf("utbetalesTilId", need.recipient)
    employer = _leaf("refunderesId", need.recipient.rjust(11, "0"))
    return _tree("refusjonsinfo-156", employer + _leaf("datoFom", line.start) + _leaf("maksDato", need.last_day))


def _tree(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"


def _leaf(name: str, value: str | int | date | None) -> str:
    """An element with escaped text; nothing for None and for empty text."""
    if value is None or value == "":
        return ""
    text = str(value).translate(_ESCAPES)
    return _tree(name, text.replace("]]>", "]]&gt;"))  # the one place where XML itself forbids a bare `>`
