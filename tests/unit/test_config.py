"""Settings: a file, the environment over it, options over both; what is wrong is shown with its place, and secrets are never shown."""

from pathlib import Path

import pytest

from kvitt.broker_settings import QueueSettings
from kvitt.config import load_settings
from kvitt.errors import BadSettings
from kvitt.settings import HIDDEN, Settings, shown


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "KVITT_CONFIG",
        "KVITT_DATA",
        "KVITT_DATABASE_URL",
        "KVITT_WORKERS",
        "KVITT_LANES",
        "KVITT_KAFKA_BOOTSTRAP",
        "KVITT_QUEUE_PASSWORD",
    ):
        monkeypatch.delenv(name, raising=False)


def file_with(text: str, name: str = "kvitt.toml") -> Path:
    file = Path(name)
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_file_and_an_environment_all_is_default() -> None:
    assert load_settings() == Settings()


def test_the_environment_wins_over_the_file_and_options_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    file_with('lanes = 2\nmax_batch = 7\ndatabase_url = "postgresql:///a"\n[kafka]\nbootstrap = "a:1"\ngroup = "g"\n')
    monkeypatch.setenv("KVITT_LANES", "3")
    monkeypatch.setenv("KVITT_KAFKA_BOOTSTRAP", "b:2")
    settings = load_settings(database_url="postgresql:///c", data=None)
    assert (settings.lanes, settings.max_batch, settings.database_url) == (3, 7, "postgresql:///c")
    assert settings.kafka is not None
    assert (settings.kafka.bootstrap, settings.kafka.group) == ("b:2", "g")


def test_a_file_is_found_by_name_by_option_and_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    other = file_with("lanes = 5", "other.toml")
    assert load_settings().lanes == 1
    assert load_settings(other).lanes == 5
    monkeypatch.setenv("KVITT_CONFIG", str(other))
    assert load_settings().lanes == 5
    assert load_settings(file_with("lanes = 6")).lanes == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lanes = ", "kvitt.toml is not TOML"),
        ("lane = 2", "unknown field `lane`"),
        ("lanes = 0", "$.lanes"),
        ('lanes = "many"', "$.lanes"),
        ("[kafka]\ngroup = 'g'", "missing required field `bootstrap` - at `$.kafka`"),
        ("[kafka]\nbootstrap = 'a:1'\nbrokers = 3", "unknown field `brokers` - at `$.kafka`"),
        ("kafka = 'a:1'", "kafka is a section"),
        ("[queue]\nkind = 'pigeon'", "$.queue.kind"),
        ("[queue]\nkind = 'stomp'", "[queue] host"),
        ("[queue]\nkind = 'mq'\nhost = 'h'", "[queue] queue_manager, channel"),
        ("[queue]\nport = 70000", "$.queue.port"),
        ("[queue]\npassword_file = 'nowhere'", "nowhere can not be read"),
        ("[kafka]\nbootstrap = 'a:1'\nclient_file = 'client'", "client:1 is not name=value"),
        ("[ops]\nrail_opens = 'noon'", "$.ops.rail_opens"),
        ("[decisions.DP]\nsystem_callers = []", "$.decisions"),
        ("[decisions.DAGPENGER]\napprover_group = ['g']", "did you mean approver_groups?"),
        ("[decisions.DAGPENGER]\napprover_groups = ['']", "$.decisions[...].approver_groups"),
        ("[decisions.DAGPENGER]\napprover_groups = 'g'", "$.decisions[...].approver_groups"),
        ("[decisions.DAGPENGER]\nsystem_callers = ['prod:dp:app']", "$.decisions[...].system_callers"),
        ("[decisions.DAGPENGER]\ncap_kroner = -1", "$.decisions[...].cap_kroner"),
        ("[decisions.DAGPENGER]\ntwo_people = 'some'", "$.decisions[...].two_people"),
        ("decisions = 7", "$.decisions"),
        ("[rest.rates.app]\nburst = 1", "missing required field `calls_per_second`"),
        ("[rest]\ncalls_per_second = 0", "$.rest.calls_per_second"),
        ("[rest.schemes]\napp = ['DP']", "$.rest.schemes"),
        ("[limits.sources.'prod-gcp:team:app']\nkroner_per_hour = 1", "$.limits.sources"),
        ("[approvals]\nalone = ['order release']", "[approvals] alone: 'order release' is no act that one person may do"),
        ("[approvals]\nalone = ['sending stopp']", "did you mean sending stop?"),
        ("[approvals]\nalone = 'sending stop'", "$.approvals.alone"),
        ("[simulation]\nat_once = 0", "$.simulation.at_once"),
        ("[simulation]\nurl = 'u'\ntoken_url = 't'\nuser = 'kvitt'", "[simulation] user, password"),
        ("[simulation]\ntoken_url = 't'\nuser = 'kvitt'\npassword = 'x'", "[simulation] url"),
        ("[simulation]\nproxy_url = 'p'\nproxy_client_id = 'kvitt'", "[simulation] proxy_client_id, proxy_client_secret, proxy_scope"),
        ("[simulation]\nproxy_secret_file = 'nowhere'", "nowhere can not be read"),
    ],
)
def test_what_is_wrong_is_reported_with_its_place_and_the_rule(text: str, said: str) -> None:
    file_with("what is this", "client")
    file_with(text)
    with pytest.raises(BadSettings) as published:
        load_settings()
    assert said in str(published.value)


def test_rules_of_decisions_are_by_scheme() -> None:
    file_with(
        "[decisions.DAGPENGER]\napprover_groups = ['g']\nsystem_callers = []\n[decisions.'TILLEGGSSTØNADER']\napprover_opens = false\n"
    )
    decisions = load_settings().decisions
    assert (decisions["DAGPENGER"].approver_groups, decisions["DAGPENGER"].system_callers) == (("g",), ())
    assert (decisions["TILLEGGSSTØNADER"].approver_opens, decisions["TILLEGGSSTØNADER"].approver_groups) == (False, ())
    assert decisions["TILLEGGSSTØNADER"].system_callers is None


def test_a_wrong_value_in_the_environment_is_reported_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVITT_LANES", "some")
    with pytest.raises(BadSettings, match=r"\$\.lanes"):
        load_settings()


def test_a_file_that_is_not_there_is_reported() -> None:
    with pytest.raises(BadSettings, match=r"nowhere\.toml can not be read"):
        load_settings(Path("nowhere.toml"))


def test_secrets_come_from_files_and_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    file_with("hush-1\nmore", "queue-password")
    file_with("# ours\nsasl.password=hush-2\n", "client")
    monkeypatch.setenv("KVITT_DATABASE_URL", "postgresql://kvitt:hush-3@db/kvitt")
    file_with(
        "[kafka]\nbootstrap = 'a:1'\nclient_file = 'client'\n[kafka.client]\n'ssl.key.password' = 'hush-4'\n"
        "[queue]\nkind = 'stomp'\nhost = 'h'\npassword_file = 'queue-password'\n"
        "[simulation]\nurl = 'u'\ntoken_url = 't'\nuser = 'kvitt'\npassword_file = 'rail-password'\n"
        "proxy_url = 'p'\nproxy_client_id = 'kvitt'\nproxy_secret_file = 'proxy-secret'\nproxy_scope = 's'\n"
    )
    file_with("hush-5\n", "rail-password")
    file_with("hush-6", "proxy-secret")
    settings = load_settings()
    assert settings.kafka is not None
    assert settings.queue.password == "hush-1"
    assert settings.queue.port == 61613
    assert settings.kafka.client == {"sasl.password": "hush-2", "ssl.key.password": "hush-4"}
    assert (settings.simulation.password, settings.simulation.proxy_client_secret) == ("hush-5", "hush-6")
    for each in (settings, settings.kafka, settings.queue, settings.simulation, shown(settings)):
        text = f"{each!r} {each}"
        assert "hush" not in text
    assert shown(settings)["database_url"] == "postgresql://kvitt@db/kvitt"
    assert shown(settings)["queue"]["password"] == HIDDEN


def test_a_password_in_a_conninfo_of_words_is_hidden_too() -> None:
    assert shown(Settings(database_url="host=db password=hush"))["database_url"] == HIDDEN
    assert repr(QueueSettings(password="hush")) == "QueueSettings(kind='table', host='', port=None, user='')"
