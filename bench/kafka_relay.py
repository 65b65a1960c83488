"""The relay: how fast the outbox is published, to Kafka and to the embedded log, and how soon a new process publishes its first record."""

import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

from bench.brokers import Neighbour, Site, begin_here, site
from bench.place import Place
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from bench.spent import Meter
from bench.topics import TOPICS
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.leases import LeaseKeeper
from kvitt.transports.kafka.relay import KafkaRelay
from kvitt.transports.log.embedded_log import LogRelay, make_topics

LEAST_PER_SECOND, MOST_START_SECONDS = 10_000, 3.0
_FILL = """
INSERT INTO outbox (topic, key, value, headers, event_id, made_at)
SELECT 'helved.status.v1', convert_to('key-' || n %% 5000, 'UTF8'), convert_to(repeat(md5(n::text), 12), 'UTF8'),
       '[["fagsystem","DAGPENGER"]]', md5(%s || n)::uuid, now()
FROM generate_series(1, %s) AS n
"""


def _per_second(place: Place, records: int, at: Site | None, meter: Meter) -> float:
    with place.database() as conninfo, connect(conninfo, application="kvitt bench") as connection:
        make_topics(connection, TOPICS)
        connection.execute(_FILL, (uuid4().hex, records))
        connection.execute("VACUUM (ANALYZE) outbox")
        keeper = LeaseKeeper(conninfo, seconds=600.0)
        held = keeper.acquire(connection, "relay")
        assert held, "nobody else has the lease"
        kafka = at and at.settings().kafka
        relay = KafkaRelay(connection, utc_now, held.lease, kafka) if kafka else LogRelay(connection, utc_now, held.lease)
        with meter.counting():
            published, started = 0, time.perf_counter()
            while published < records:
                published += relay.step()
            seconds = time.perf_counter() - started
        if isinstance(relay, KafkaRelay):
            relay.close()
        keeper.close()
    return records / seconds


def _start_up(place: Place, at: Site, directory: Path) -> float:
    """Seconds from starting `kvitt run` to the first status on the topic, for a message that waited."""
    settings = at.settings()
    assert settings.kafka, "brokers are set"
    begin_here(settings)
    neighbour = Neighbour(at)
    neighbour.send(0)
    neighbour.flush()
    with place.database() as conninfo:
        file = directory / f"{uuid4().hex}.toml"
        file.write_text(
            f'database_url = "{conninfo}"\nrequest_queue = "{settings.request_queue}"\nreply_queue = "{settings.reply_queue}"\n'
            f'[kafka]\nbootstrap = "{at.bootstrap}"\ngroup = "{settings.kafka.group}"\n'
            f'[queue]\nkind = "stomp"\nhost = "{at.host}"\nport = {at.port}\n[ops]\nport = 0\n',
            encoding="utf-8",
        )
        heard: list[float] = []
        started = time.perf_counter()
        command = [sys.executable, "-c", "from kvitt.app.main import main; main()", "run", "--config", str(file)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            neighbour.hear(lambda: bool(heard), lambda _: heard.append(time.perf_counter()))
        finally:
            # In order: a transaction that was left open would keep the next one's listener waiting until it runs out.
            process.terminate()
            process.wait()
            neighbour.close()
    return heard[0] - started


def run(place: Place, size: Size) -> None:
    """Statuses of 384 bytes under 5,000 keys; then new processes that find one message waiting, the median of them."""
    durability = place.durability()
    with site() as at:
        meter, embedded = place.meter(), place.meter()
        rates = [
            (_per_second(place, size.relayed, at, meter), _per_second(place, size.relayed, None, embedded)) for _ in range(size.rounds)
        ]
        best = max(rates)
        report(
            Figure(
                name="relay to Kafka",
                value=rounded(best[0]),
                unit="records/s",
                on=f"{size.relayed} records, acks=all, a transaction per batch",
                ratio=rounded(best[0] / best[1]),
                baseline="relay to the embedded log in the same round",
                samples=[rounded(rate) for rate, _ in rates],
                target=Target(least=LEAST_PER_SECOND),
                durability=durability,
                brokers=at.durability,
                spent=meter.spent(size.relayed * size.rounds),
            )
        )
        seconds = sorted(_start_up(place, at, place.directory) for _ in range(size.rounds))
        report(
            Figure(
                name="start-up to first record",
                value=rounded(seconds[len(seconds) // 2]),
                unit="s",
                on="one waiting message, from starting kvitt run to its status on Kafka",
                samples=[rounded(each) for each in seconds],
                target=Target(most=MOST_START_SECONDS),
                durability=durability,
                brokers=at.durability,
            )
        )
