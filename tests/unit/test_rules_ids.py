"""Ids are functions of content: the contract's vectors, and no two contents with one id (helved §2.3, design §5)."""

from uuid import NAMESPACE_DNS, UUID, uuid5

import pytest

from kvitt.contracts.helved.read import derived_payment_id
from kvitt.disbursement.derive.micro_chained import line_id, order_id
from kvitt.disbursement.values import Area, CaseId, Scheme
from kvitt.kernel.identifiers import event_id, named_uuid


@pytest.mark.parametrize(
    ("scheme", "case", "fortnight", "class_code", "payment_id"),
    [
        (Scheme.DAGPENGER, "rsid3", "2025-08-01/2025-08-14", "DAGPENGER", "26c8ad95-1731-e800-abd5-ba92ec6aad86"),
        (Scheme.TILTAKSPENGER, "rsid3", "2025-08-01/2025-08-14", "TPTPAFT", "db4aea1c-a343-54d1-504f-5ab063a5fc16"),
    ],
)
def test_the_contracts_vectors(scheme: Scheme, case: str, fortnight: str, class_code: str, payment_id: str) -> None:
    assert derived_payment_id(scheme, CaseId(case), fortnight, class_code) == payment_id


def test_letters_outside_ascii_count_by_their_utf_16_units() -> None:
    # The two texts have equal 32-bit sums by UTF-16 units: Æ is one unit of 198 = 31 * 5 + 43, as are the units 5 and 43 before it.
    one = derived_payment_id(Scheme.DAGPENGER, CaseId("\x00Æ"), "", "")
    assert one == derived_payment_id(Scheme.DAGPENGER, CaseId("\x05+"), "", "")
    assert one != derived_payment_id(Scheme.DAGPENGER, CaseId("\x00A"), "", "")


def test_the_derivation_knows_no_borders_between_its_parts() -> None:
    assert derived_payment_id(Scheme.DAGPENGER, CaseId("1"), "23", "X") == derived_payment_id(Scheme.DAGPENGER, CaseId("12"), "3", "X")


ORDER = order_id(Scheme.AAP, Area("AAP"), CaseId("1"), 1)


def test_an_orders_id_depends_on_all_its_parts_and_their_borders() -> None:
    ids = {
        order_id(Scheme.AAP, Area("AAP"), CaseId("1"), 1),
        order_id(Scheme.AAP, Area("AAP"), CaseId("1"), 2),
        order_id(Scheme.AAP, Area("AAP"), CaseId("11"), 1),
        order_id(Scheme.AAP, Area("AAP"), CaseId("1"), 11),
        order_id(Scheme.AAP, Area("DP"), CaseId("1"), 1),
        order_id(Scheme.VALP, Area("AAP"), CaseId("1"), 1),
    }
    assert len(ids) == 6
    assert order_id(Scheme.AAP, Area("AAP"), CaseId("1"), 1) == ORDER


def test_lines_and_events_of_an_order_have_ids_of_their_own() -> None:
    other = order_id(Scheme.AAP, Area("AAP"), CaseId("1"), 2)
    ids = {line_id(ORDER, 0), line_id(ORDER, 1), line_id(ORDER, 11), line_id(other, 0), event_id(ORDER, "OK"), event_id(ORDER, "FEILET")}
    assert len(ids) == 6
    assert all(str(UUID(each)) == each for each in ids)
    assert line_id(ORDER, 0) == line_id(ORDER, 0)


def test_ids_stay_what_they_were() -> None:
    """A stored order is found again by its id; another way to make ids would make old ones strangers."""
    assert ORDER == "cdf3c334-d698-5dc7-ae0b-37f218740ff6"
    assert line_id(ORDER, 0) == "5c078fa6-8e47-570f-b93c-cec83f8afef7"


@pytest.mark.parametrize("name", ["", "a", "SAK-1\x001", "ÆØÅ", *(f"{number}" for number in range(32))])
def test_named_uuids_are_those_of_the_standard(name: str) -> None:
    assert named_uuid(NAMESPACE_DNS.bytes, name) == str(uuid5(NAMESPACE_DNS, name))
