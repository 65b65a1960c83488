"""In which form a receipt is passed on, for every form that has been seen (rapid §3.3 step 1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kvitt.contracts.rapid.wire.events import normalised
from kvitt.rails.oppdrag.emulator import DamageForm
from kvitt.rails.oppdrag.emulator.answers import ACCEPTED, WARNING, unparsable
from kvitt.rails.oppdrag.emulator.batch import echo, unechoed
from kvitt.rails.oppdrag.emulator.damage import damage
from kvitt.rails.oppdrag.emulator.order import EmulatedAnswer
from support.rapid_messages import GOLDEN_XML

NAMESPACE = 'xmlns="http://www.trygdeetaten.no/skjema/oppdrag"'
WELL_FORMED = set(DamageForm) - {DamageForm.TRUNCATED}


@pytest.mark.parametrize(
    ("received", "passed_on"),
    [
        ("<oppdrag><mmel/></oppdrag>", "<oppdrag><mmel/></oppdrag>"),
        ("<Oppdrag><mmel/></Oppdrag>", "<oppdrag><mmel/></oppdrag>"),
        (f"<oppdrag {NAMESPACE}><mmel/></Oppdrag>", f"<oppdrag {NAMESPACE}><mmel/></oppdrag>"),
        ("<OPPDRAG><mmel/></oppdrag>", "<oppdrag><mmel/></oppdrag>"),
        ("<oppdrag><mmel/>", "<oppdrag><mmel/></oppdrag>"),
        ("<OppDrag><Oppdrag-110><x/></Oppdrag-110></oppDRAG>", "<oppdrag><oppdrag-110><x/></Oppdrag-110></oppdrag>"),
        ("<oppdrag><mmel/><oppdrag-110></oppdrag-110>", "<oppdrag><mmel/></oppdrag>"),
        ("<oppdrag><OPPDRAG-110></OPPDRAG-110></oppdrag>", "<oppdrag></oppdrag>"),
        ("<oppdrag><oppdrag-110></oppdrag-110><oppdrag-110></oppdrag-110></oppdrag>", "<oppdrag></oppdrag>"),
        ("<oppdrag><oppdrag-110> </oppdrag-110></oppdrag>", "<oppdrag><oppdrag-110> </oppdrag-110></oppdrag>"),
        ("<oppdrag><oppdrag-110/></oppdrag>", "<oppdrag><oppdrag-110/></oppdrag>"),
        ("<oppdrag><oppdrags-linje-150></oppdrags-linje-150></oppdrag>", "<oppdrag><oppdrags-linje-150></oppdrags-linje-150></oppdrag>"),
        ("<oppdrag><mmel/></oppdrag>  \n", "<oppdrag><mmel/></oppdrag>  \n"),
        ("<oppdrag><mmel/></oppdrag >", "<oppdrag><mmel/></oppdrag>"),
        ("", "</oppdrag>"),
        ("no receipt", "no receipt</oppdrag>"),
    ],
)
def test_the_root_is_spelt_one_way_and_ends(received: str, passed_on: str) -> None:
    assert normalised(received.encode()) == passed_on


@pytest.mark.parametrize(
    ("received", "passed_on"),
    [
        ('<ns2:oppdrag xmlns:ns2="x"><mmel/></ns2:oppdrag>', '<ns2:oppdrag xmlns:ns2="x"><mmel/></ns2:oppdrag>'),
        ('<ns2:Oppdrag xmlns:ns2="x"><mmel/></ns2:oppdrag>', '<ns2:oppdrag xmlns:ns2="x"><mmel/></ns2:oppdrag>'),
        ('<ns2:oppdrag xmlns:ns2="x"><mmel/>', '<ns2:oppdrag xmlns:ns2="x"><mmel/></ns2:oppdrag>'),
        ('<ns2:oppdrag xmlns:ns2="x"><mmel/></Oppdrag>', '<ns2:oppdrag xmlns:ns2="x"><mmel/></ns2:oppdrag>'),
        (
            '<ns2:oppdrag xmlns:ns2="x"><Oppdrag-110></oppdrag-110></ns2:OPPDRAG>',
            '<ns2:oppdrag xmlns:ns2="x"></ns2:oppdrag>',
        ),
    ],
)
def test_a_root_with_a_prefix_gets_no_stray_end(received: str, passed_on: str) -> None:
    assert normalised(received.encode()) == passed_on
    assert etree.fromstring(passed_on).tag == "{x}oppdrag"


@pytest.mark.parametrize("form", sorted(WELL_FORMED, key=lambda form: form.value))
@pytest.mark.parametrize("said", [ACCEPTED, WARNING], ids=["00", "04"])
def test_every_damage_but_a_cut_is_passed_on_as_xml(form: DamageForm, said: EmulatedAnswer) -> None:
    root = etree.fromstring(normalised(damage(echo(GOLDEN_XML.encode(), said), form)).encode())
    assert etree.QName(root).localname == "oppdrag"
    assert (root.findtext("{*}mmel/{*}alvorlighetsgrad") or "").strip() == said.severity


def test_the_rails_own_parse_error_is_passed_on_as_xml() -> None:
    root = etree.fromstring(normalised(unechoed(unparsable("x"))).encode())
    assert [etree.QName(child).localname for child in root] == ["mmel"]


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1"])
def test_norwegian_letters_survive(encoding: str) -> None:
    assert normalised("<Oppdrag>Årsak: øl</Oppdrag>".encode(encoding)) == "<oppdrag>Årsak: øl</oppdrag>"


def test_a_receipt_in_form_is_passed_on_as_it_is() -> None:
    received = echo(GOLDEN_XML.replace("Oppdrag>", "oppdrag>").encode(), WARNING).decode()
    assert normalised(received.encode()) == received


pieces = st.sampled_from(
    ["<oppdrag", "<ns2:Oppdrag", "</Oppdrag>", "</ns2:oppdrag>", ">", "<oppdrag-110>", "</oppdrag-110>", " ", "æ", "<"]
)


@given(st.binary(max_size=100) | st.lists(pieces, max_size=12).map(lambda found: "".join(found).encode()))
def test_any_bytes_can_be_passed_on_and_have_an_end(body: bytes) -> None:
    assert "oppdrag>" in normalised(body)
