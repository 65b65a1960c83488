"""Lists as CSV: the rows of a page, by its own query, read part by part while they are sent, and no more of them than a bound.

Two forms: for Norwegian spreadsheets and for programs. What a page masks is masked; whoever takes out what is about people is noted.
"""

import csv
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import structlog
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream
from msgspec import Struct
from psycopg_pool import ConnectionPool

from kvitt.api.console import showing
from kvitt.api.console.frame import PageRequest, Values, Visit, fault_of, on_thread, page_begun, read_once
from kvitt.api.console.keyset import AFTER, kept_of, refuse_persons
from kvitt.api.console.sessions import Session
from kvitt.api.people import masking
from kvitt.api.people.claims import ConsoleRole
from kvitt.api.people.identity import need_role
from kvitt.errors import BadRequest
from kvitt.kernel.clock import Clock
from kvitt.kernel.money import Minor, exponent_of

_log = structlog.get_logger(__name__)
MOST_ROWS: Final = 100_000
_PART_ROWS: Final = 1_000
_FORM: Final = "form"
_OSLO: Final = ZoneInfo("Europe/Oslo")
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
_MEDIA: Final = "text/csv"


class CsvForm(NamedTuple):
    """How values are written: what stands between two, the decimal point, and what the file begins with."""

    between: str
    point: str
    begins: str


FORMS: Final[Mapping[str, CsvForm]] = {"excel": CsvForm(";", ",", "\ufeff"), "plain": CsvForm(",", ".", "")}


class CsvColumn(NamedTuple):
    """A column: its head, and the value of a row. `is_id`: an id of ours or of a case, which is shown as it is."""

    head: str
    value: Callable[[Any], object]
    is_id: bool = False


class CsvList(Struct, frozen=True):
    """A list that can be taken out: where, what it is called, who reads it, and its columns.

    `rows` has the rows of what `read` returns and the place behind the last of them. `about_people`: that somebody took it out is noted.
    """

    path: str
    title: str
    read: Callable[[Visit], Values]
    rows: Callable[[Values], tuple[Sequence[Any], str | None]]
    columns: Sequence[CsvColumn]
    about_people: bool = True
    role: ConsoleRole = ConsoleRole.LOOK


class CsvPart(NamedTuple):
    """Some rows of a list, and the place behind them, if there are more."""

    rows: Sequence[Any]
    older: str | None


class Exports:
    """Answers who takes out lists."""

    def __init__(self, pool: ConnectionPool[Any], clock: Clock, threads: ThreadPoolExecutor, lists: Sequence[CsvList]) -> None:
        self._pool, self._clock, self._threads, self._lists = pool, clock, threads, lists

    def handlers(self) -> Sequence[HTTPRouteHandler]:
        """The routes of all lists."""
        return [self._handler(each) for each in self._lists]

    def _handler(self, wanted: CsvList) -> HTTPRouteHandler:
        async def answer(request: Request[Any, Any, Any]) -> Stream:
            scope: Any = request.scope
            asked, session = PageRequest(request.path_params, read_once(scope["query_string"])), scope["session"]
            refuse_persons(asked.query)
            form = _form_asked(asked)
            first: CsvPart = await on_thread(self._threads, partial(self._part, wanted, session, asked, None))
            name = f"kvitt-{wanted.title.lower().replace(' ', '-')}-{self._clock().astimezone(_OSLO):%Y%m%dT%H%M%S}.csv"
            shown = {"content-disposition": f'attachment; filename="{name}"'}
            return Stream(self._written(wanted, session, asked, first, form), media_type=_MEDIA, headers=shown)

        return get(wanted.path)(answer)

    def _part(self, wanted: CsvList, session: Session, asked: PageRequest, place: str | None) -> CsvPart:
        """The rows behind a place. Raises NotPermitted, and what the page raises."""
        need_role(session.who, wanted.role)
        query = {**kept_of(asked.query), **({AFTER: place} if place else {})}
        with self._pool.connection() as connection, page_begun(connection):
            visit = Visit(session, connection, self._clock(), PageRequest(asked.path, query))
            visit.page_rows, visit.takes_out = _PART_ROWS, True
            if wanted.about_people and place is None:
                visit.look(f"{wanted.title} as CSV: {_filter_of(asked)}")
            return CsvPart(*wanted.rows(wanted.read(visit)))

    async def _written(self, wanted: CsvList, session: Session, asked: PageRequest, part: CsvPart, form: CsvForm) -> AsyncIterator[bytes]:
        """The file, part by part; one that breaks off says so in its last line."""
        yield (form.begins + written(self._head(wanted, session, asked), form)).encode()
        sent = 0
        while True:
            rows = part.rows[: MOST_ROWS - sent]
            sent += len(rows)
            yield written([[cell(each.value(row), each, form) for each in wanted.columns] for row in rows], form).encode()
            if part.older is None or sent == MOST_ROWS:
                break
            try:
                part = await on_thread(self._threads, partial(self._part, wanted, session, asked, part.older))
            except Exception as error:  # noqa: BLE001 - it is said in the file, which is under way
                _log.error("a list broke off", error=type(error).__name__)
                yield written([[f"Broken off here: {fault_of(error)[1]}"]], form).encode()
                return
        if part.older or len(rows) < len(part.rows):
            yield written([[f"Cut here: a file has at most {MOST_ROWS} rows"]], form).encode()

    def _head(self, wanted: CsvList, session: Session, asked: PageRequest) -> Sequence[Sequence[str]]:
        about = [
            ["kvitt", wanted.title],
            ["As of", self._clock().astimezone(_OSLO).isoformat(" ", "seconds")],
            ["Filter", _filter_of(asked)],
            ["At most", f"{MOST_ROWS} rows"],
            ["Taken out by", session.who.name],
        ]
        return [[_text(each) for each in line] for line in about] + [[each.head for each in wanted.columns]]


def written(lines: Sequence[Sequence[str]], form: CsvForm) -> str:
    """Lines of a file."""
    out = io.StringIO()
    csv.writer(out, delimiter=form.between, lineterminator="\r\n").writerows(lines)
    return out.getvalue()


def decimal_of(amount: Minor | None, currency: str) -> Decimal | None:
    """Minor units in the currency's own unit; as they are for a currency that ISO 4217 does not have."""
    return None if amount is None else Decimal(amount).scaleb(-(exponent_of(currency) or 0))


def cell(value: object, column: CsvColumn, form: CsvForm) -> str:
    """A value as a file has it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return str(value)
        case Decimal():
            return f"{value:f}".replace(".", form.point)
        case datetime():
            return value.astimezone(_OSLO).isoformat(" ", "seconds")
        case date():
            return value.isoformat()
    return _text(str(value), is_id=column.is_id)


def _text(text: str, *, is_id: bool = False) -> str:
    """A text without persons, that no spreadsheet takes for a formula."""
    shown = showing.visible(text)
    shown = shown if is_id else masking.masked(shown)
    return f"'{shown}" if shown.startswith(_FORMULAS) else shown


def _filter_of(asked: PageRequest) -> str:
    """All that the address asks for, in one line."""
    said = [f"{name} {value}" for name, value in kept_of(asked.query).items() if name != _FORM]
    return masking.masked(showing.visible(", ".join(said))) or "none"


def _form_asked(asked: PageRequest) -> CsvForm:
    form = FORMS.get(asked.query.get(_FORM, "plain"))
    if form is None:
        raise BadRequest((_FORM, f"is one of {', '.join(FORMS)}"))
    return form
