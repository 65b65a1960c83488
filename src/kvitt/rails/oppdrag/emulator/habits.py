"""How the simulation service behaves, and what goes wrong there on demand: kept in a table, so that any process can switch it.

Whether a fault strikes depends on the seed, the request's message id and the fault's name only.
"""

from datetime import time
from enum import Enum
from random import Random

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kvitt.kernel.database import TupleConnection
from kvitt.kernel.fetch import fetch_one
from kvitt.kernel.queries import load
from kvitt.rails.oppdrag.emulator.faults import Chance

_SQL = load("service", package="kvitt.rails.oppdrag.emulator")


class ServiceHabits(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the service behaves; the plain value suits a hub that tries things out at any hour.

    `keeps_hours`: outside `opens`–`closes` (Oslo) on bank days it is closed; a `closes` of 00:00 is the end of the day. `posts_next_day`:
    an accepted order is part of simulations and runs from the next bank day on, not at once. `tells_others`: other cases of the same
    person and benefit group come along, where the same runs have something to do for them. `pads`: texts are padded with blanks.
    `wants_proxy_token`: calls need the proxy's bearer token. `assertion_seconds`: how long a SAML assertion is good.
    """

    keeps_hours: bool = False
    opens: time = time(6)
    closes: time = time(21)
    posts_next_day: bool = False
    tells_others: bool = True
    pads: bool = True
    wants_proxy_token: bool = False
    assertion_seconds: int = 3600


class ServiceFault(Enum):
    """Faults with which the service answers a request though nothing is wrong with it (helved §4.8)."""

    UNKNOWN_PERSON = "unknown_person"
    INVALID_FIELD = "invalid_field"
    NEW_DECISION_NEEDED = "new_decision_needed"
    CASE_UNKNOWN = "case_unknown"
    CASE_EXISTS = "case_exists"
    REFERENCE_UNKNOWN = "reference_unknown"
    NAME_UNKNOWN = "name_unknown"
    PERSON_NOT_REGISTERED = "person_not_registered"
    LINE_EXISTS = "line_exists"
    NO_RUN_PLAN = "no_run_plan"
    CLOSED_FOR_NOW = "closed_for_now"
    REQUEST_CONVERSION = "request_conversion"
    REQUEST_CONVERSION_UNEXPLAINED = "request_conversion_unexplained"
    ANSWER_CONVERSION = "answer_conversion"
    MALFORMED = "malformed"
    NO_BODY = "no_body"
    FAILED_AUTHENTICATION = "failed_authentication"
    UNHEARD_OF = "unheard_of"


class AnswerForm(Enum):
    """Other forms of an answer that says the same, or nothing."""

    PREFIXED = "prefixed"
    SELF_CLOSED = "self_closed"
    NOTE_ONLY = "note_only"
    EMPTY_SIMULATION = "empty_simulation"
    LATIN_1 = "latin_1"
    NOT_XML = "not_xml"


class ServiceFaults(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything that goes wrong; the plain value is a service without any.

    closed: the proxy answers 502, and no token is to be had · slow: the answer comes after `slow_seconds` · gateway: the proxy's page
    comes for this request · fault: the answer is `answers_with` · cut: the envelope breaks off · dropped: the connection ends in the
    middle of the answer · other_form: the answer comes in one of `forms` · large: it is at least `large_bytes` long · token: the STS
    refuses · tokens_expire: assertions are good no longer, whatever they say.
    """

    closed: bool = False
    slow: Chance = Chance()
    slow_seconds: float = 0.0
    gateway: Chance = Chance()
    fault: Chance = Chance()
    answers_with: ServiceFault = ServiceFault.UNHEARD_OF
    cut: Chance = Chance()
    dropped: Chance = Chance()
    other_form: Chance = Chance()
    forms: tuple[AnswerForm, ...] = (AnswerForm.PREFIXED,)
    large: Chance = Chance()
    large_bytes: int = 0
    token: Chance = Chance()
    tokens_expire: Chance = Chance()

    def __post_init__(self) -> None:
        if not self.forms or self.large_bytes < 0 or self.slow_seconds < 0:
            raise ValueError("an other form needs at least one form, and sizes and seconds are not negative")


class ServiceStrike(Struct, frozen=True):
    """The faults that strike one request."""

    slow_seconds: float = 0.0
    gateway: bool = False
    fault: ServiceFault | None = None
    cut: bool = False
    dropped: bool = False
    form: AnswerForm | None = None
    large_bytes: int = 0
    expired: bool = False


class ServiceSettings(Struct, frozen=True):
    """The one row."""

    habits: ServiceHabits
    faults: ServiceFaults


def strike(faults: ServiceFaults, seed: int, message_id: str) -> tuple[ServiceStrike, ServiceFaults]:
    """Draws what goes wrong with the request, and says what then remains switched on."""
    dice = _ServiceDice(faults, seed, message_id)
    struck = ServiceStrike(
        slow_seconds=faults.slow_seconds if dice.hits("slow") else 0.0,
        gateway=dice.hits("gateway"),
        fault=faults.answers_with if dice.hits("fault") else None,
        cut=dice.hits("cut"),
        dropped=dice.hits("dropped"),
        form=dice.random("form").choice(faults.forms) if dice.hits("other_form") else None,
        large_bytes=faults.large_bytes if dice.hits("large") else 0,
        expired=dice.hits("tokens_expire"),
    )
    return struck, dice.left


def strike_token(faults: ServiceFaults, seed: int, request: str) -> tuple[bool, ServiceFaults]:
    """Whether the STS refuses, and what then remains switched on."""
    dice = _ServiceDice(faults, seed, request)
    return dice.hits("token"), dice.left


class _ServiceDice:
    """Draws for one request, and counts down what strikes a counted number of them."""

    def __init__(self, faults: ServiceFaults, seed: int, message_id: str) -> None:
        self.left, self._seed, self._message_id = faults, seed, message_id

    def hits(self, fault: str) -> bool:
        chance: Chance = getattr(self.left, fault)
        if chance.next > 0:
            self.left = replace(self.left, **{fault: Chance(chance.probability, chance.next - 1)})
            return True
        return chance.probability > 0 and self.random(fault).random() < chance.probability

    def random(self, purpose: str) -> Random:
        return Random(f"{self._seed}/{purpose}/{self._message_id}")  # noqa: S311 -- reproducible chance, no secret


def service_settings(conn: TupleConnection) -> ServiceSettings:
    """How the service behaves now, and what goes wrong there."""
    settings = fetch_one(conn, ServiceSettings, _SQL.service_settings, habits=decoded_habits, faults=decoded_faults)
    assert settings is not None, "a migration made the row"
    return settings


def decoded_habits(text: str) -> ServiceHabits:
    """The habits as the table keeps them."""
    return msgspec.json.decode(text, type=ServiceHabits)


def decoded_faults(text: str) -> ServiceFaults:
    """The faults as the table keeps them."""
    return msgspec.json.decode(text, type=ServiceFaults)


def get_habits(conn: TupleConnection) -> ServiceHabits:
    """How the service behaves now."""
    return service_settings(conn).habits


def set_habits(conn: TupleConnection, habits: ServiceHabits) -> None:
    """Makes the service behave so from the next request on."""
    conn.execute(_SQL.set_habits, {"habits": msgspec.json.encode(habits).decode()})


def get_service_faults(conn: TupleConnection) -> ServiceFaults:
    """The faults that are switched on there now."""
    return service_settings(conn).faults


def set_service_faults(conn: TupleConnection, faults: ServiceFaults) -> None:
    """Switches faults on and off from the next request on; `ServiceFaults()` switches all of them off."""
    conn.execute(_SQL.set_service_faults, {"faults": msgspec.json.encode(faults).decode()})


def lock_service(conn: TupleConnection) -> None:
    """Keeps others from changing or counting down the faults until the transaction ends."""
    conn.execute(_SQL.lock_service)


def counts_down(faults: ServiceFaults) -> bool:
    """Whether some fault strikes a counted number of requests, so that the count has to be kept."""
    chances = (getattr(faults, name) for name in faults.__struct_fields__)
    return any(isinstance(chance, Chance) and chance.next > 0 for chance in chances)
