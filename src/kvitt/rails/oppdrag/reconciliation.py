"""The messages of interface reconciliation: START, one or more DATA, AVSL, to the byte as the rail's other senders write them.

The rail finds its own orders of a run by `nokkelFom` and `nokkelTom`, compared with the keys in the orders; there is no answer
(iverksetting §5.5, rapid §4.5). The schema that guards the way out is kvitt's own (iverksetting §7.2).
"""

import re
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import cache
from importlib import resources
from itertools import islice
from typing import Final
from uuid import UUID

from lxml import etree

from kvitt.disbursement.reconciliation import MOST_DETAILS, Bucket, BucketTotal, InterfaceRun, ReportedOrder
from kvitt.errors import InvalidOrderMessage
from kvitt.formats.xml_reading import parse
from kvitt.rails.oppdrag.order_xml import escaped

NAMESPACE: Final = "http://nav.no/virksomhet/tjenester/avstemming/meldinger/v1"
_KINDS: Final = {Bucket.WARNED: "VARS", Bucket.REJECTED: "AVVI", Bucket.MISSING: "MANG"}
_PREFIXES: Final = {Bucket.ACCEPTED: "godkjent", Bucket.WARNED: "varsel", Bucket.REJECTED: "avvist", Bucket.MISSING: "mangler"}
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KEY = re.compile(rb"(<nokkelAvstemming>)([^<]*)(</nokkelAvstemming>)")


@cache
def _schema() -> etree.XMLSchema:
    """The schema, read when it is first needed: most processes never write such a message."""
    return etree.XMLSchema(etree.XML((resources.files("kvitt.rails.oppdrag") / "xsd" / "reconciliation.xsd").read_bytes()))


def encode_interface(run: InterfaceRun, details: Iterable[ReportedOrder]) -> Iterator[bytes]:
    """The messages of a run. Raises InvalidOrderMessage where the schema does not take one."""
    yield _message(run, "START", "")
    remaining = iter(details)
    first = _total(run) + "".join(map(_detail, islice(remaining, MOST_DETAILS)))
    yield _message(run, "DATA", first)
    while chunk := "".join(map(_detail, islice(remaining, MOST_DETAILS))):
        yield _message(run, "DATA", chunk)
    yield _message(run, "AVSL", "")


def day_key(day: date) -> tuple[str, str]:
    """The keys between which the orders of a day lie; each has its own key at ten past ten (helved §4.7)."""
    return f"{day.isoformat()}-00.00.00.000000", f"{day.isoformat()}-23.59.59.999999"


def under_day(message: bytes, day: date) -> bytes:
    """An order's message with the key of a day. Raises ValueError where it has not one key."""
    changed, keys = _KEY.subn(rb"\g<1>" + f"{day.isoformat()}-10.10.00.000000".encode() + rb"\g<3>", message)
    if keys != 1:
        raise ValueError(f"an order's message has one nokkelAvstemming, and this one has {keys}")
    return changed


def run_name(run_id: str) -> str:
    """`avleverendeAvstemmingId`: the bytes of a run's id in URL-safe Base64, 22 characters (iverksetting §5.5)."""
    return b2a_base64(UUID(run_id).bytes, newline=False).decode().translate(_URL_SAFE)[:22]


_URL_SAFE: Final = str.maketrans("+/", "-_")


def moment(at: datetime) -> str:
    """A local time as the rail's keys have it, to the microsecond."""
    text = at.isoformat(timespec="microseconds")
    return f"{text[:10]}-{text[11:13]}.{text[14:16]}.{text[17:26]}"


def validate(xml: bytes) -> None:
    """Raises InvalidOrderMessage unless the schema takes the message, whose root may be that of the form without namespace (design §12)."""
    try:
        root = parse(xml)
    except (etree.XMLSyntaxError, ValueError):
        raise InvalidOrderMessage("not well-formed XML") from None
    if root.tag == "Avstemmingsdata":
        root.tag = f"{{{NAMESPACE}}}avstemmingsdata"
    if not _schema().validate(root):
        first = next(iter(_schema().error_log))  # type: ignore[call-overload]  # the stubs do not know that the log has entries
        raise InvalidOrderMessage(f"{first.path} breaks {first.type_name}")


def _message(run: InterfaceRun, action: str, content: str) -> bytes:
    root = f'ns2:avstemmingsdata xmlns:ns2="{NAMESPACE}"' if run.form.namespaced else "Avstemmingsdata"
    xml = f"""\
<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<{root}>
    <aksjon>
        <aksjonType>{action}</aksjonType>
        <kildeType>AVLEV</kildeType>
        <avstemmingType>GRSN</avstemmingType>
        <avleverendeKomponentKode>{escaped(run.form.component or run.area)}</avleverendeKomponentKode>
        <mottakendeKomponentKode>OS</mottakendeKomponentKode>
        <underkomponentKode>{escaped(run.area)}</underkomponentKode>
        <nokkelFom>{run.first_key}</nokkelFom>
        <nokkelTom>{run.last_key}</nokkelTom>
        <avleverendeAvstemmingId>{run_name(run.run_id)}</avleverendeAvstemmingId>
        <brukerId>{escaped(run.form.user or run.area)}</brukerId>
    </aksjon>
{content}</{root.partition(" ")[0]}>
""".encode()
    validate(xml)
    return xml


def _total(run: InterfaceRun) -> str:
    total = run.total
    return f"""\
    <total>
        <totalAntall>{total.orders}</totalAntall>
        <totalBelop>{abs(total.kroner)}</totalBelop>
        <fortegn>{_sign(total.kroner)}</fortegn>
    </total>
    <periode>
        <datoAvstemtFom>{run.first:%Y%m%d%H}</datoAvstemtFom>
        <datoAvstemtTom>{run.last:%Y%m%d%H}</datoAvstemtTom>
    </periode>
    <grunnlag>
{"".join([_bucket(prefix, run.totals[bucket], empty_sums=run.form.empty_sums) for bucket, prefix in _PREFIXES.items()])}    </grunnlag>
"""


def _bucket(prefix: str, total: BucketTotal, *, empty_sums: bool) -> str:
    count = f"        <{prefix}Antall>{total.orders}</{prefix}Antall>\n"
    if not total.orders and not empty_sums:
        return count
    return f"""\
{count}        <{prefix}Belop>{abs(total.kroner)}</{prefix}Belop>
        <{prefix}Fortegn>{_sign(total.kroner)}</{prefix}Fortegn>
"""


def _detail(order: ReportedOrder) -> str:
    answer = "" if order.bucket is Bucket.MISSING else _answer(order)
    return f"""\
    <detalj>
        <detaljType>{_KINDS[order.bucket]}</detaljType>
        <offnr>{_text(order.person)}</offnr>
        <avleverendeTransaksjonNokkel>{_text(order.case_id.strip())}</avleverendeTransaksjonNokkel>
{answer}        <tidspunkt>{moment(order.made_at)}</tidspunkt>
    </detalj>
"""


def _answer(order: ReportedOrder) -> str:
    said: Sequence[tuple[str, str]] = (
        ("meldingKode", order.code),
        ("alvorlighetsgrad", order.severity),
        ("tekstMelding", order.text),
    )
    return "".join([f"        <{name}>{_text(value)}</{name}>\n" for name, value in said if value])


def _text(value: str) -> str:
    """A text as content; what XML has no characters for is a question mark."""
    return escaped(_NO_XML.sub("?", value))


def _sign(kroner: int) -> str:
    return "T" if kroner >= 0 else "F"
