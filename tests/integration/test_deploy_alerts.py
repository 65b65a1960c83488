"""The alert rules and the dashboard of `examples/deploy`: rules fire when they should, and ask for what a hub publishes."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from integration.test_ops_server import get
from kvitt.app.hub import HubProcess
from kvitt.app.ports import PORTS
from kvitt.app.process import operations
from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.check import check
from kvitt.disbursement.check.report import note_run
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.ops.server import OpsServer
from kvitt.settings import OpsSettings, QueueSettings, Settings
from kvitt.testing import TestServer
from kvitt.transports.log.embedded_log import NewRecord, append
from support.console_pages import live_with_hostile_text
from support.console_stage import APPROVES, console_site
from support.hub_messages import aap, text
from support.patience import until

DEPLOY: Final = Path(__file__).parents[2] / "examples/deploy"
RULES: Final = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
TESTS: Final = yaml.safe_load((DEPLOY / "alerts_test.yml").read_text("utf-8"))["tests"]
DASHBOARD: Final = json.loads((DEPLOY / "dashboard.json").read_text("utf-8"))
PANELS: Final = [each for each in DASHBOARD["panels"] if each["type"] != "row"]
PROMTOOL: Final = shutil.which("promtool")
OF_PROMETHEUS: Final = frozenset({"up"})
_KEYWORDS: Final = frozenset({"by", "or", "unless", "offset", "vector", "le", "for"})


def metrics_in(query: str) -> set[str]:
    """The metrics that a query asks for."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(?:by|without)\s*\([^)]*\)|\boffset\s+\w+', " ", query)
    return {name for name in re.findall(r"\b[a-z_]+\b(?!\s*\()", bare) if name not in _KEYWORDS}


def queries() -> Mapping[str, str]:
    """The queries of rules and panels, by where they stand."""
    of_rules = {rule["alert"]: rule["expr"] for rule in RULES}
    of_panels = {f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]}
    return {**of_rules, **of_panels}


@pytest.fixture(scope="module")
def published(kvitt_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """The labels of what a hub that has worked publishes, by name; and of what it says of brokers, where there are some."""
    file = tmp_path_factory.mktemp("certificate") / "certificate.pem"
    file.write_bytes(certificate(timedelta(days=9)))
    settings = Settings(lease_seconds=2.0, ops=OpsSettings(port=0), queue=QueueSettings(certificate_file=str(file)))
    found: dict[str, set[str]] = {}
    with kvitt_server.database() as conninfo, connect(conninfo) as connection:
        hub = HubProcess(conninfo, settings)
        with operations(hub, settings) as shown:
            hub.start()
            append(connection, [NewRecord(primary_input(Scheme.AAP), b"k", text(aap("A1")))], datetime.now(UTC))
            until(lambda: connection.execute("SELECT FROM orders WHERE state = 'accepted'").fetchone() is not None)
            until(lambda: b'kvitt_receipts_total{outcome="accepted"}' in get(shown, "/metrics")[2])
            hub.stop()
            note_run(connection, check(conninfo, PORTS), utc_now(), of_rail=0, found=[])
            # Figures of a moment ago are kept for a second.
            until(lambda: b"kvitt_check_differences 0.0" in get(shown, "/metrics")[2])
            _add(found, get(shown, "/metrics")[2])
        on_brokers = OpsServer(conninfo, replace(settings.ops), utc_now, lambda: (), broker_lag=lambda: ())
        on_brokers.start()
        _add(found, get(on_brokers, "/metrics")[2])
        on_brokers.stop()
    return found


def certificate(lasts: timedelta) -> bytes:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kvitt")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + lasts)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _add(found: dict[str, set[str]], page: bytes) -> None:
    for family in text_string_to_metric_families(page.decode()):
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        for end in ends:
            labels = {label for sample in family.samples for label in sample.labels}
            found.setdefault(family.name + end, set()).update(labels)


@pytest.mark.parametrize("where", sorted(queries()))
def test_a_query_asks_for_what_a_hub_publishes(published: Mapping[str, set[str]], where: str) -> None:
    asked = metrics_in(queries()[where])
    assert asked
    assert asked - published.keys() - OF_PROMETHEUS == set()


def test_every_figure_of_a_hub_is_in_a_panel_or_a_rule(published: Mapping[str, set[str]]) -> None:
    asked = {name for query in queries().values() for name in metrics_in(query)}
    ours = {re.sub("_(bucket|sum|count)$", "", name) for name in published if name.startswith("kvitt_")}
    assert ours - {re.sub("_(bucket|sum|count)$", "", name) for name in asked} == set()


def test_how_long_a_certificate_lasts_is_published_and_one_that_can_not_be_read_has_ended(tmp_path: Path) -> None:
    from kvitt.ops.certificates import CertificateFigures

    good, bad = tmp_path / "good.pem", tmp_path / "bad.pem"
    good.write_bytes(certificate(timedelta(days=9)) + certificate(timedelta(days=3)))
    bad.write_text("x")
    (family,) = CertificateFigures({"rest": good, "thrift": bad, "queue": tmp_path / "none.pem"}, utc_now).collect()
    seconds = {sample.labels["of"]: sample.value for sample in family.samples}
    assert timedelta(days=2) < timedelta(seconds=seconds["rest"]) <= timedelta(days=3)
    assert (seconds["thrift"], seconds["queue"]) == (-1, -1)


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool")
@pytest.mark.parametrize(("kind", "file"), [("check", "alerts.yml"), ("test", "alerts_test.yml")])
def test_prometheus_takes_the_rules_and_they_fire_as_they_should(kind: str, file: str) -> None:
    done = subprocess.run([str(PROMTOOL), kind, "rules", file], cwd=DEPLOY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tried_firing_and_not_firing() -> None:
    tried = {each["name"]: [bool(case["exp_alerts"]) for case in each["alert_rule_test"]] for each in TESTS}
    assert tried == {rule["alert"]: [False, True] for rule in RULES}
    assert {rule["labels"]["severity"] for rule in RULES} == {"page", "ticket"}


def _addresses() -> Sequence[str]:
    of_rules = [
        case["exp_alerts"][0]["exp_annotations"]["console"].removeprefix("https://console")
        for each in TESTS
        for case in each["alert_rule_test"]
        if case["exp_alerts"]
    ]
    of_panels = [link["url"].removeprefix("${console}") for panel in PANELS for link in panel.get("links", ())]
    return sorted({*of_rules, *of_panels})


def test_what_an_alert_or_a_panel_leads_to_is_a_page_of_the_console(database: str, tmp_path: Path) -> None:
    live_with_hostile_text(database)
    with console_site(database, tmp_path) as site:
        browser = site.browser(APPROVES)
        assert {path: status for path in _addresses() if (status := browser.get(path).status) != 200} == {}


def test_the_dashboard_has_panels_with_ids_of_their_own_beside_each_other_on_one_data_source() -> None:
    ids = [each["id"] for each in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids)) > 30
    assert {name["name"]: name["type"] for name in DASHBOARD["templating"]["list"]} == {"datasource": "datasource", "console": "textbox"}
    assert {each["datasource"]["uid"] for panel in PANELS for each in (panel, *panel["targets"])} == {"${datasource}"}
    taken = list(_cells())
    assert len(taken) == len(set(taken))


def _cells() -> Iterator[tuple[int, int]]:
    for panel in DASHBOARD["panels"]:
        at: dict[str, Any] = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        yield from ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"]))
