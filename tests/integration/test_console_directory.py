"""Parties and topics in the console: shops with their accounts and terms in words, and records of the embedded log byte for byte."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.payouts.directory import load_directory
from kvitt.payouts.directory_file import read_directory
from kvitt.testing import Hub
from support.console_stage import LOOKS, console_site
from support.hub_messages import PERSON, aap

EXAMPLE = (Path(__file__).parents[2] / "examples/parties.toml").read_text("utf-8")
NOW = datetime(2026, 6, 29, tzinfo=UTC)


def test_a_party_shows_its_shops_their_accounts_and_the_terms_in_words(database: str, tmp_path: Path) -> None:
    with connect(database) as connection, console_site(database, tmp_path) as site:
        browser = site.browser(LOOKS)
        assert "Parties of the local directory would stand here" in browser.get("/parties").words
        load_directory(connection, lambda: NOW, read_directory(EXAMPLE))
        listed = browser.get("/parties")
        assert "Accounts of the house" in listed.words
        party = browser.get(listed.link("party-1"))
        for part in ("shop-1", "merchant settlement", "of the amount", "minor units", "Contract", "As it was loaded"):
            assert part in party.words, part
        (account,) = connection.execute(
            "SELECT account_id FROM ledger.accounts WHERE request_key = 'party/party-1/shop-1/settlement'"
        ).fetchone() or (0,)
        assert browser.get(party.link(str(account))).status == 200
        assert urlsplit(browser.send("/search", q="party-1").url).path == "/parties/one"
        assert urlsplit(browser.send("/search", q="party/party-1/shop-1/settlement").url).path == f"/ledger/accounts/{account}"
        assert browser.get("/parties/one?id=nobody").status == 404
        assert browser.get("/parties?after=zz").status == 400


def test_a_record_is_there_with_key_headers_and_bytes_and_names_no_person(kvitt_hub: Hub, tmp_path: Path) -> None:
    topic = helved_topics.primary_input(Scheme.AAP)
    kvitt_hub.put(topic, "key-1", aap("A1"))
    with console_site(kvitt_hub.conninfo, tmp_path) as site:
        browser = site.browser(LOOKS)
        query = "SELECT partition, position, value FROM log_records WHERE topic = %s"
        partition, position, value = kvitt_hub.connection.execute(query, [topic]).fetchone() or (0, 0, b"")
        at = f"topic={quote(topic, safe='')}&partition={partition}"
        assert f'href="/topics/records?{at.replace("&", "&amp;")}"' in browser.get("/topics").text
        records = browser.get(f"/topics/records?{at}")
        assert "key-1" in records.words
        record = browser.get(records.link(str(position)))
        assert hashlib.sha256(value).hexdigest() not in record.words, "by it a person could be guessed"
        assert "their SHA-256 is shown with the person" in record.words
        assert "Value, byte for byte" in record.words
        assert PERSON.encode() in value
        assert PERSON not in record.text
        looked = kvitt_hub.connection.execute("SELECT what FROM kvitt_views.looks ORDER BY look_no").fetchall()
        assert [what for (what,) in looked] == [f"records of {topic}/{partition}", f"record {topic}/{partition}/{position}"]
        assert browser.get(f"/topics/record?{at}&position=999").status == 404
        for wrong in (f"{at}&position=x", f"{at}&position={'9' * 30}", "topic=%00"):
            assert browser.get(f"/topics/record?{wrong}").status == 400, wrong
