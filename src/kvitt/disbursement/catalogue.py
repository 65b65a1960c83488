"""The catalogue of schemes, areas and class codes, read once from the data files beside it (helved §2.4–§2.6)."""

import csv
import tomllib
from enum import StrEnum
from importlib import resources

from msgspec import Struct

from kvitt.disbursement.values import (
    Area,
    Benefit,
    Scheme,
)


class PaidTwice(StrEnum):
    """The part of one class code that on one day is paid once too often, by scheme."""

    ONE_PAYMENT_PER_DAY = "one_payment_per_day"
    """Any second payment: a day of benefit is paid once, whatever the amounts."""
    EQUAL_AMOUNT = "equal_amount"
    """A second payment of the same amount, whatever each is paid by: several grants of one kind may rightly meet.

    A payment keeps its kind of rate for life, so one that was sent by the wrong kind comes again under another id.
    """
    ALLOWED = "allowed"


class SchemeTerms(Struct, frozen=True):
    """Terms that are the same for all cases of a scheme. Its orders leave on `rail`; `frequency` is how often that pays.

    `whole_case`: a message holds the whole case, so what it omits ceases. `sender_chooses_ids`: payment ids come with the message, so one
    of another case is a mistake; derived ones may collide. `paid_twice`: what of one class code on one day holds an order.
    """

    default_caseworker: str
    default_approver: str
    rail: str
    frequency: str
    whole_case: bool
    sender_chooses_ids: bool
    paid_twice: PaidTwice


class AreaTerms(Struct, frozen=True):
    """The scheme that owns an area, and the name the area has in statuses."""

    scheme: Scheme
    name: str


_DATA = resources.files("kvitt.disbursement") / "data"
_TOML = tomllib.loads((_DATA / "schemes.toml").read_text("utf-8"))

UMBRELLA_AREA = Area("TILLST")
SCHEMES = {Scheme(name): SchemeTerms(**{**terms, "paid_twice": PaidTwice(terms["paid_twice"])}) for name, terms in _TOML["schemes"].items()}
AREAS = {Area(code): AreaTerms(Scheme(terms["scheme"]), terms["name"]) for code, terms in _TOML["areas"].items()}
DECISION_AREAS = {Scheme(name): Area(area) for name, area in _TOML["decision_areas"].items()}
"""The one area in which all is posted that a decision over REST pays, by scheme; those that post none are not here (iverksetting §1.11)."""
AREA_OF_NAME = {terms.name: area for area, terms in AREAS.items()}


def _read_benefits(name: str) -> dict[str, Benefit]:
    rows = csv.DictReader((_DATA / name).read_text("utf-8").splitlines())
    return {
        row["benefit"]: Benefit(
            Scheme(row["scheme"]), row["benefit"], row["class_code"], Area(row["area"]), row["may_use_umbrella_area"] == "yes"
        )
        for row in rows
    }


STREAM_BENEFITS = _read_benefits("class_codes.csv")
"""The benefits that case streams and single payments name, by their names on the wire; decisions over REST name many of them too."""
EARLIER_BENEFITS = _read_benefits("earlier_class_codes.csv")
"""Benefits of payments that were taken over with an earlier class code, under names of ours: they are ceased, and nobody asks for one."""


class _Benefits(dict[str, Benefit]):
    """Benefits by name. An earlier one is found by whoever has its name stored, and is not among those that there are."""

    def __missing__(self, name: str) -> Benefit:
        return EARLIER_BENEFITS[name]


BENEFITS = _Benefits(STREAM_BENEFITS | _read_benefits("decided_class_codes.csv"))
"""Every benefit by its name; names do not clash between schemes. Supplements of decisions over REST have names of ours."""


def benefits_of(scheme: Scheme) -> tuple[Benefit, ...]:
    """The benefits of a scheme, in the contract's order."""
    return tuple(benefit for benefit in BENEFITS.values() if benefit.scheme is scheme)


def _alike(scheme: Scheme) -> tuple[Scheme, ...]:
    codes = {other: {each.class_code for each in benefits_of(other)} - {""} for other in Scheme}
    return tuple(other for other in Scheme if other is scheme or codes[other] & codes[scheme])


ALIKE = {scheme: _alike(scheme) for scheme in Scheme}
"""The schemes whose cases may pay what one of a scheme pays: those that have a class code in common."""
