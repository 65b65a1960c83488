"""Limits that two people set over those of the settings, until they end or are cleared, and which limit holds (design §11)."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from msgspec import Struct

from kvitt.disbursement.source_limits import NO_LIMIT, SetLimit, SourceLimit, SourceLimits, in_force
from kvitt.errors import NotInThatState
from kvitt.kernel.approvals import ApprovableAct, ShownEffect
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_value
from kvitt.kernel.money import Kroner
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load

_SQL: Final = load("source_limits", "kvitt.disbursement")
_SETTINGS: Final = "settings"


class LimitCleared(Struct, frozen=True):
    """The source whose limit is as the settings have it again."""

    source: str


class LimitSet(LimitCleared, frozen=True):
    """The most that a source may have paid, for one order and in an hour, until a moment; None: as the settings have it, for ever."""

    kroner_per_order: Kroner | None = None
    kroner_per_hour: Kroner | None = None
    until: datetime | None = None


class LimitOfPeople(NamedTuple):
    """A limit as two people have set it; `until` may be over."""

    source: str
    kroner_per_order: Kroner | None
    kroner_per_hour: Kroner | None
    until: datetime | None
    set_at: datetime
    set_by: str
    approved_by: str
    reason: str

    @property
    def as_set(self) -> SetLimit:
        """The limit without whose it is."""
        return SetLimit(self.source, self.kroner_per_hour, self.kroner_per_order, self.until)


class _UsedInHour(NamedTuple):
    source: str
    kroner: Kroner


class LimitShown(Struct, frozen=True):
    """The limit that holds for a source: whose it is, until when and why if it is people's, and how much of it is used in this hour."""

    source: str
    limit: SourceLimit
    comes_from: str
    until: datetime | None
    reason: str | None
    used: Kroner
    of_people: bool


def limits_shown(connection: Connection, settings: SourceLimits, now: datetime) -> Sequence[LimitShown]:
    """All sources that have a limit, or had one that people have set, by name."""
    of_people = {each.source: each for each in fetch(connection, LimitOfPeople, _SQL.limits_of_people)}
    sources = sorted({*settings, *of_people})
    limits = in_force(settings, [each.as_set for each in of_people.values()], now)
    hour = now.replace(minute=0, second=0, microsecond=0)
    used = dict(fetch(connection, _UsedInHour, _SQL.used_in_hour, {"sources": sources, "hour": hour}))
    return [
        LimitShown(
            source,
            limits.get(source, NO_LIMIT),
            _comes_from(set_limit, settings.get(source), now),
            set_limit.until if set_limit else None,
            set_limit.reason if set_limit else None,
            used.get(source, Kroner(0)),
            set_limit is not None,
        )
        for source, set_limit in ((each, of_people.get(each)) for each in sources)
    ]


def limit_acts(clock: Clock, settings: SourceLimits, is_known: Callable[[str], bool]) -> Sequence[ApprovableAct[Any]]:
    """The acts of two people that set and clear limits; `is_known` says whether a source is called so here."""
    return _set_act(clock, settings, is_known), _clear_act(clock, settings)


def _set_act(clock: Clock, settings: SourceLimits, is_known: Callable[[str], bool]) -> ApprovableAct[LimitSet]:
    def preview(connection: Connection, asked: LimitSet) -> ShownEffect:
        now = clock()
        _refuse_ended(asked, now)
        lines = [f"{_said(asked)}; more is held until two people release it", *_by_now(connection, settings, asked.source, now)]
        if not is_known(asked.source):
            lines.append(f"no topic and no application known here is called {asked.source}: it may be misspelt, and limit nobody")
        return ShownEffect.of("\n".join(lines), asked, _set_for(connection, asked.source), settings.get(asked.source))

    def run(connection: Connection, asked: LimitSet, operator: Operator) -> str:
        set_limit(connection, clock(), asked, operator)
        return _said(asked)

    return ApprovableAct("limits set", LimitSet, lambda asked: asked.source, preview, run)


def _clear_act(clock: Clock, settings: SourceLimits) -> ApprovableAct[LimitCleared]:
    def preview(connection: Connection, asked: LimitCleared) -> ShownEffect:
        before = _set_for(connection, asked.source)
        if before is None:
            raise _not_set(asked.source)
        then = settings.get(asked.source, NO_LIMIT).words
        lines = [f"{asked.source} may have {then} paid, as the settings have it", *_by_now(connection, settings, asked.source, clock())]
        return ShownEffect.of("\n".join(lines), asked, before, settings.get(asked.source))

    def run(connection: Connection, asked: LimitCleared, operator: Operator) -> str:
        clear_limit(connection, clock(), asked.source, operator)
        return f"the limit of {asked.source} is as the settings have it"

    return ApprovableAct("limits clear", LimitCleared, lambda asked: asked.source, preview, run)


def set_limit(connection: Connection, now: datetime, asked: LimitSet, operator: Operator) -> None:
    """Sets a limit by the word of two people, from the next order on in every process. Raises NeedsSecondPerson, NotInThatState."""
    operator.need_second_person()
    _refuse_ended(asked, now)
    values = {"source": asked.source, "per_order": asked.kroner_per_order, "per_hour": asked.kroner_per_hour, "until": asked.until}
    people = {"now": now, "by": operator.name, "approved_by": operator.approved_by, "reason": operator.reason}
    with transaction(connection, "limit", asked.source), connection.cursor() as cursor:
        cursor.execute(_SQL.set_limit, {**values, **people})
        note(cursor, now, "set limit", operator, _noted(asked))


def clear_limit(connection: Connection, now: datetime, source: str, operator: Operator) -> None:
    """Has the settings say what a source may have paid. Raises NeedsSecondPerson, and NotInThatState where nobody has set its limit."""
    operator.need_second_person()
    with transaction(connection, "limit", source), connection.cursor() as cursor:
        if fetch_value(cursor, _SQL.clear_limit, {"source": source}) is None:
            raise _not_set(source)
        note(cursor, now, "clear limit", operator, f"{source}: as the settings have it")


def _not_set(source: str) -> NotInThatState:
    return NotInThatState(f"nobody has set a limit of {source}: what holds is in the settings")


def _refuse_ended(asked: LimitSet, now: datetime) -> None:
    if asked.kroner_per_order is None and asked.kroner_per_hour is None:
        raise NotInThatState(f"say how much {asked.source} may have paid: for one order, in an hour, or both")
    if asked.until is not None and asked.until <= now:
        raise NotInThatState(f"the limit of {asked.source} would have ended before it began")


def _set_for(connection: Connection, source: str) -> LimitOfPeople | None:
    return next((each for each in fetch(connection, LimitOfPeople, _SQL.limits_of_people) if each.source == source), None)


def _by_now(connection: Connection, settings: SourceLimits, source: str, now: datetime) -> Iterator[str]:
    for each in limits_shown(connection, settings, now):
        if each.source == source:
            until = f" {'until' if each.until > now else 'at'} {_moment(each.until)}" if each.until else ""
            yield f"by now it may have {each.limit.words} paid ({each.comes_from}{until}), and used {each.used} kr in this hour"
            return
    yield "by now it has no limit, and what it used in this hour is not counted"


def _comes_from(of_people: LimitOfPeople | None, settings: SourceLimit | None, now: datetime) -> str:
    """Whose a limit is, in words."""
    if of_people is None:
        return _SETTINGS
    people = f"{of_people.set_by} and {of_people.approved_by}"
    if not of_people.as_set.holds(now):
        return f"{_SETTINGS if settings else 'nobody'}; that of {people} has ended"
    own = SourceLimit(of_people.kroner_per_hour, of_people.kroner_per_order)
    limit = in_force({of_people.source: settings or NO_LIMIT}, [of_people.as_set], now)[of_people.source]
    return people if limit == own else f"{people}, else {_SETTINGS}"


def _said(asked: LimitSet) -> str:
    words = SourceLimit(asked.kroner_per_hour, asked.kroner_per_order).words
    return f"{asked.source} may have {words} paid{f' until {_moment(asked.until)}' if asked.until else ''}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _noted(asked: LimitSet) -> str:
    """A limit as the operators' chain has it; the check makes the same of its row."""
    order, hour = (("-" if each is None else str(each)) for each in (asked.kroner_per_order, asked.kroner_per_hour))
    return f"{asked.source}: {order} for one order, {hour} in an hour, until {_moment(asked.until) if asked.until else '-'}"
