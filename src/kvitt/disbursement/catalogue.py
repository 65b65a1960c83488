"""The catalogue of schemes, areas and class codes, read once from the data files beside it (helved §2.4–§2.6)."""

import csv
import tomllib
from importlib import resources

from msgspec import Struct

from kvitt.disbursement.duplicates import PaidTwice
from kvitt.disbursement.values import (
    Area,
    Benefit,
    Scheme,
)


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
AREA_OF_NAME = {terms.name: area for area, terms in AREAS.items()}


def _read_benefits() -> dict[str, Benefit]:
    rows = csv.DictReader((_DATA / "class_codes.csv").read_text("utf-8").splitlines())
    return {
        row["benefit"]: Benefit(
            Scheme(row["scheme"]), row["benefit"], row["class_code"], Area(row["area"]), row["may_use_umbrella_area"] == "yes"
        )
        for row in rows
    }


BENEFITS = _read_benefits()
"""Every benefit by its name on the wire; names do not clash between schemes."""


def benefits_of(scheme: Scheme) -> tuple[Benefit, ...]:
    """The benefits of a scheme, in the contract's order."""
    return tuple(benefit for benefit in BENEFITS.values() if benefit.scheme is scheme)
