"""Arbitrary values of the rules, within what their wire forms can carry."""

import re
from datetime import date, datetime

from hypothesis import strategies as st

from kvitt.disbursement.catalogue import AREAS, BENEFITS
from kvitt.disbursement.values import (
    Action,
    Area,
    HoldBack,
    LineId,
    Order,
    OrderLine,
    Payment,
    Period,
    RateType,
    Scheme,
)

NORWEGIAN = "abcxyzABCXYZ0123456789æøåÆØÅ #-_/&<>'\"."

amounts = st.integers(0, 4_294_967_295)
days = st.dates(date(1900, 1, 1), date(2199, 12, 31))
offices = st.none() | st.text("0123456789", min_size=4, max_size=4)
areas = st.sampled_from(sorted(AREAS)).map(Area)
uuids = st.uuids().map(str)
line_ids = (uuids | st.text(NORWEGIAN, min_size=1, max_size=30).map(str.strip).filter(bool)).map(LineId)
hold_backs = st.builds(
    HoldBack,
    start=days,
    end=days,
    transferred_on=st.none() | days,
    cause=st.sampled_from([None, "AVVENT_AVREGNING", "AVVENT_REFUSJONSKRAV"]),
    registered_by_mistake=st.booleans(),
)
periods = st.builds(Period, start=days, end=days, amount=amounts, office=offices, decided_rate=st.none() | amounts)


def norwegian(smallest: int, longest: int) -> st.SearchStrategy[str]:
    """Texts without blanks at their ends, some with what XML must escape."""
    texts = st.text(NORWEGIAN, min_size=smallest, max_size=longest).map(str.strip)
    return texts.filter(lambda text: len(text) >= smallest)


lines = st.builds(
    OrderLine,
    line_id=line_ids,
    refers_to=st.none() | line_ids,
    class_code=st.sampled_from(sorted({benefit.class_code for benefit in BENEFITS.values() if benefit.class_code})),
    start=days,
    end=days,
    amount=amounts,
    decided_rate=st.none() | amounts,
    rate_type=st.sampled_from(RateType),
    ceased_from=st.none() | days,
    decided_on=days.map(date.isoformat),
    caseworker=norwegian(0, 8),
    approver=norwegian(1, 8),
    decision_id=norwegian(0, 30),
)
orders = st.builds(
    Order,
    scheme=st.sampled_from(Scheme),
    area=areas,
    case_id=norwegian(1, 30),
    frequency=st.sampled_from(["MND", "ENG"]),
    person=st.text("0123456789", min_size=9, max_size=11),
    caseworker=norwegian(0, 8),
    office=offices,
    hold_back=st.none() | hold_backs,
    made_at=st.datetimes(datetime(1900, 1, 1), datetime(2199, 1, 1)),  # noqa: DTZ001 - Oslo local time by definition
    lines=st.lists(lines, max_size=3).map(tuple),
    payments=st.just(()),
)

_CARRIED = st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufffe\uffff")
carried_texts = st.text(_CARRIED, max_size=20)
decided = st.from_regex(re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]"), fullmatch=True)
payments = st.builds(
    Payment,
    original_key=carried_texts,
    area=areas,
    payment_id=uuids,
    action=st.sampled_from(Action),
    case_id=carried_texts,
    decision_id=carried_texts,
    last_line=line_ids,
    last_sent=st.none() | periods,
    person=carried_texts,
    decided_at=decided,
    benefit=carried_texts,
    approver=carried_texts,
    caseworker=carried_texts,
    rate_type=st.sampled_from(RateType),
    hold_back=st.none() | hold_backs,
    periods=st.lists(periods, max_size=4).map(tuple),
)
