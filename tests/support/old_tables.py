"""An older system in small: the tables that it has, and the lines that it makes by the contract's own steps (iverksetting §2.3, §9).

It shares nothing with kvitt's derivation; its orders come to the rail as its XML, so that the rail has what the tables say.
"""

import base64
import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.types.json import Json

from kvitt.disbursement.catalogue import BENEFITS
from kvitt.kernel.queue import Outgoing
from kvitt.settings import Settings
from kvitt.testing import Hub
from kvitt.transports.queue.table_queue import TableQueue
from support.emulator_orders import Line, order_xml
from support.iverksetting_bodies import PERSON

TABLES = """
CREATE TABLE iverksetting (id bigint PRIMARY KEY, behandling_id text, data jsonb, mottatt_tidspunkt timestamp, utbetaling_id uuid);
CREATE TABLE iverksettingsresultat (id bigint PRIMARY KEY, fagsystem text, sakId text, behandling_id text, iverksetting_id text,
    tilkjentytelseforutbetaling json, oppdragresultat json, utbetaling_id uuid);
CREATE TABLE utbetaling (id bigint PRIMARY KEY, utbetaling_id uuid, sak_id text, behandling_id text, personident text, stønad text,
    created_at timestamp, updated_at timestamp, deleted_at timestamp, data jsonb, status text);
"""
AREAS = {"DAGPENGER": "DP", "TILTAKSPENGER": "TILTPENG", "TILLEGGSSTØNADER": "TILLST", "AAP": "AAP"}
RATES = {"DAGLIG": "DAG", "DAGLIG_INKL_HELG": "DAG7", "MÅNEDLIG": "MND", "ENGANGS": "ENG"}
KINDS = {"UKEDAG": "DAG", "DAG": "DAG7", "MND": "MND", "EN_GANG": "ENG"}
Body = dict[str, Any]
Entry = dict[str, Any]


def entry(start: str, end: str, amount: int, benefit: str = "TILSYN_BARN_AAP", rate: str = "DAGLIG", **terms: object) -> Entry:
    """A period of `andelerTilkjentYtelse`, without a number yet."""
    periode = {"fom": start, "tom": end}
    return {"id": str(uuid4()), "beløp": amount, "satstype": rate, "periode": periode, "stønadsdata": {"stønadstype": benefit, **terms}}


def key_of(each: Entry, code: str = "") -> str:
    """The key of a chain, as JSON in the place of a name."""
    terms = each["stønadsdata"]
    name = terms["stønadstype"] + ("_BARN" if terms.get("barnetillegg") else "")
    found: Body = {"klassifiseringskode": code or BENEFITS[name].class_code}
    card = terms.get("meldekortId")
    return json.dumps({"@type": "meldeplikt" if card else "standard", **found, **({"meldekortId": card} if card else {})})


def next_day(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


@dataclass
class OldCase:
    """A case of decisions as the older system has it: what is paid, and the last line of each chain."""

    scheme: str
    case_id: str
    person: str = PERSON
    paid: list[Entry] = field(default_factory=list)
    last: dict[str, Entry] = field(default_factory=dict)
    newest: tuple[str, str | None] | None = None

    def lines_for(self, new: Sequence[Entry], code: str = "") -> tuple[list[Line], list[Entry], dict[str, Entry]]:
        """The lines that turn what is paid into `new`, as the contract counts its steps: cessations first."""
        ceased: list[Line] = []
        fresh: list[Line] = []
        state: list[Entry] = []
        last = dict(self.last)
        counter = max((each["periodeId"] for each in last.values()), default=-1)
        for key in dict.fromkeys([*(key_of(each, code) for each in new), *(key_of(each, code) for each in self.paid)]):
            old = sorted((each for each in self.paid if key_of(each, code) == key), key=_fom)
            now = sorted((each for each in new if key_of(each, code) == key), key=_fom)
            keep, cut = _first_difference(old, now)
            state += keep
            if cut:
                ceased.append(self._line(last[key], key, ceased_from=cut))
            refers_to = last.get(key, {}).get("periodeId")
            for each in now[len(keep) :]:
                counter += 1
                made = {**each, "periodeId": counter, "forrigePeriodeId": refers_to}
                fresh.append(self._line(made, key, ref="" if refers_to is None else f"{self.case_id}#{refers_to}"))
                state.append(made)
                last[key], refers_to = made, counter
        return [*ceased, *fresh], state, last

    def _line(self, each: Entry, key: str, **members: str) -> Line:
        days, terms = each["periode"], each["stønadsdata"]
        return Line(
            f"{self.case_id}#{each['periodeId']}",
            days["fom"],
            days["tom"],
            each["beløp"],
            rate_code=RATES[each["satstype"]],
            class_code=json.loads(key)["klassifiseringskode"],
            decided_rate=terms.get("fastsattDagsats"),
            **members,
        )


def _fom(each: Entry) -> str:
    return str(each["periode"]["fom"])


def _first_difference(old: Sequence[Entry], now: Sequence[Entry]) -> tuple[list[Entry], str]:
    """What stays of a chain, and from which day it is cut ("": from none)."""

    def said(each: Entry) -> tuple[str, str, int]:
        return each["periode"]["fom"], each["periode"]["tom"], each["beløp"]

    place = next((n for n, each in enumerate(old) if n >= len(now) or said(each) != said(now[n])), None)
    if place is None:
        return list(old), ""
    p, n = old[place], now[place] if place < len(now) else None
    after = now[place + 1] if place + 1 < len(now) else None
    if n is None or _fom(p) < _fom(n):
        return list(old[:place]), _fom(p)
    if _fom(p) > _fom(n) or p["beløp"] != n["beløp"] or p["periode"]["tom"] < n["periode"]["tom"]:
        return list(old[:place]), ""
    cut = next_day(n["periode"]["tom"])
    shortened = {**p, "periode": n["periode"]}
    return [*old[:place], shortened], "" if after and _fom(after) == cut else cut


class OldRows:
    """The rows of an older system, as JSON of their tables."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Body]] = []
        self.cases: dict[tuple[str, str], OldCase] = {}

    def add(self, table: str, **columns: object) -> int:
        """Adds a row; its id and moment rise from one to the next."""
        number = len(self.rows) + 1
        moment = {"iverksetting": "mottatt_tidspunkt", "utbetaling": "created_at"}.get(table)
        at = f"2025-03-03T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}"
        self.rows.append((table, deepcopy({"id": number, **({moment: at} if moment else {}), **columns})))
        return number

    def sent(self, area: str, case_id: str, person: str, lines: Sequence[Line]) -> None:
        """The rail takes an order."""

    def bodies(self, table: str) -> list[str]:
        """The rows of a table as they are read."""
        return [json.dumps(row, ensure_ascii=False) for of, row in self.rows if of == table]

    def decide(
        self,
        case_id: str,
        decision: str,
        *entries: Entry,
        scheme: str = "TILLEGGSSTØNADER",
        enactment: str | None = None,
        state: str | None = "",
        code: str = "",
        person: str = PERSON,
        of_decision: Body | None = None,
    ) -> list[Line]:
        """A decision with its result; `state` is what the rail said (None: nothing yet), by itself what it says to its lines."""
        case = self.cases.setdefault((scheme, case_id), OldCase(scheme, case_id, person))
        lines, paid, last = case.lines_for(entries, code)
        result = (("KVITTERT_OK" if lines else "OK_UTEN_UTBETALING") if state == "" else state) if state is not None else None
        taken = result in ("KVITTERT_OK", "OK_UTEN_UTBETALING", "KVITTERT_MED_MANGLER")
        if taken and lines:
            self.sent(AREAS[scheme], case_id, person, lines)
        previous = case.newest or (None, None)
        data: Body = {
            "fagsak": {"fagsakId": case_id, "fagsystem": scheme},
            "behandling": {
                "behandlingId": decision,
                "iverksettingId": enactment,
                "forrigeBehandlingId": previous[0],
                "forrigeIverksettingId": previous[1],
            },
            "søker": {"personident": person},
            "vedtak": {
                "vedtakstidspunkt": "2025-03-03T13:05:00",
                "saksbehandlerId": "A100001",
                "beslutterId": "B200002",
                "brukersNavKontor": None,
                "tilkjentYtelse": {"andelerTilkjentYtelse": [*entries], "sisteAndelPerKjede": {}},
                **(of_decision or {}),
            },
        }
        self.add("iverksetting", behandling_id=decision, data=data)
        self.add(
            "iverksettingsresultat",
            fagsystem=scheme,
            sakId=case_id,
            behandling_id=decision,
            iverksetting_id=enactment,
            tilkjentytelseforutbetaling={"andelerTilkjentYtelse": paid, "sisteAndelPerKjede": last, "utbetalingsoppdrag": None},
            oppdragresultat=None if result is None else {"oppdragStatus": result, "oppdragStatusOppdatert": "2025-03-03T13:06:00"},
        )
        case.newest = decision, enactment
        if taken:
            case.paid, case.last = paid, last
        return lines

    def pay(
        self,
        uid: str,
        case_id: str,
        *spans: Body,
        benefit: str = "AAP_UNDER_ARBEIDSAVKLARING",
        line: str = "",
        status: str = "OK",
        kind: str = "UKEDAG",
        deleted: bool = False,
        last: Body | None = None,
        sent: Sequence[Line] | None = None,
        **members: object,
    ) -> None:
        """A version of a payment; its last line has this raw id. The rail takes `sent`, or one line for each span, where it is OK."""
        own = line or str(uuid4())
        data: Body = {
            "sakId": {"id": case_id},
            "behandlingId": {"id": "44"},
            "lastPeriodeId": own,
            "personident": PERSON,
            "vedtakstidspunkt": "2025-03-03T13:05:00",
            "stønad": benefit,
            "beslutterId": {"ident": "B200002"},
            "saksbehandlerId": {"ident": "A100001"},
            "satstype": kind,
            "perioder": [*spans],
            "avvent": None,
            "sistePeriode": last,
            **members,
        }
        scheme = BENEFITS[benefit].scheme.value
        if status == "OK":
            plain = [
                Line(own, each["fom"], each["tom"], each["beløp"], rate_code=KINDS[kind], class_code=BENEFITS[benefit].class_code)
                for each in spans
            ]
            self.sent(AREAS[scheme], case_id, PERSON, plain if sent is None else sent)
        self.add(
            "utbetaling",
            utbetaling_id=uid,
            sak_id=case_id,
            behandling_id="44",
            personident=PERSON,
            stønad=benefit,
            deleted_at="2025-04-01T10:00:00" if deleted else None,
            data=data,
            status=status,
        )


class OldSystem(OldRows):
    """The same in a database of its own, and the rail of a hub, which has taken what stands there."""

    def __init__(self, conninfo: str, hub: Hub | None = None) -> None:
        super().__init__()
        self.conninfo, self._hub = conninfo, hub
        self.connection = psycopg.connect(conninfo, autocommit=True)
        self.connection.execute(TABLES.encode())
        self._known: set[tuple[str, str]] = set()

    def close(self) -> None:
        self.connection.close()

    def add(self, table: str, **columns: object) -> int:
        """Inserts the row, too."""
        number = super().add(table, **columns)
        values = {name: Json(value) if isinstance(value, dict | list) else value for name, value in self.rows[-1][1].items()}
        places = ", ".join(["%s"] * len(values))
        self.connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})".encode(), list(values.values()))
        return number

    def sent(self, area: str, case_id: str, person: str, lines: Sequence[Line]) -> None:
        """Lets the rail take an order. Raises unless it takes all of it."""
        if self._hub is None or not lines:
            return
        change = "ENDR" if (area, case_id) in self._known else "NY"
        self._known.add((area, case_id))
        named = [replace(each, line_id=on_wire(each.line_id), ref=on_wire(each.ref)) for each in lines]
        xml = order_xml(*named, case=case_id, area=area, person=person, change=change)
        settings = Settings()
        requests, replies = TableQueue(self._hub.conninfo, settings.request_queue), TableQueue(self._hub.conninfo, settings.reply_queue)
        requests.put([Outgoing(f"old {uuid4()}", xml, settings.reply_queue)])
        self._hub.run("emulator")
        (answer,) = replies.receive(10, 0.0)
        replies.acknowledge()
        requests.close()
        replies.close()
        assert b"<alvorlighetsgrad>00<" in answer.body, answer.body


def on_wire(line_id: str) -> str:
    """A UUID as the rail has it, any other id as it is."""
    if len(line_id) != len(str(uuid4())):
        return line_id
    return base64.b64encode(bytes.fromhex(line_id.replace("-", ""))).decode()
