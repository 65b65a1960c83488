"""`kvitt run` as it is run in production: processes of their own on real brokers, with settings in a file."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from kvitt.broker_settings import KafkaSettings
from kvitt.contracts.helved import topics as helved_topics
from kvitt.contracts.helved.outputs import decode_status
from kvitt.disbursement.answers import Status
from support.kafka_stage import ends, read
from support.patience import PATIENCE_SECONDS, until

KVITT = "from kvitt.app.main import main; main()"
FINAL = (Status.OK, Status.FAILED)


class Place:
    """Where the processes of one test work: a database, a consumer group and queues of its own on brokers that all tests share."""

    def __init__(self, directory: Path, database: str, settings: KafkaSettings, artemis: tuple[str, int] | None = None) -> None:
        self.kafka, self.database, self.run = settings.bootstrap, database, uuid4().hex[:8]
        self.start = ends(self.kafka, [helved_topics.STATUSES])
        self.config = directory / "kvitt.toml"
        self.config.write_text(
            f"database_url = {json.dumps(database)}\ndata = {json.dumps(str(directory))}\nlease_seconds = 2.0\n"
            f"start_seconds = {PATIENCE_SECONDS}\n"
            f'request_queue = "request.{self.run}"\nreply_queue = "reply.{self.run}"\n'
            f"[ops]\nport = 0\n"
            f"[kafka]\nbootstrap = {json.dumps(self.kafka)}\ngroup = {json.dumps(settings.group)}\n"
            f"rapid_topic = {json.dumps(settings.rapid_topic)}\n"
            + (f'[queue]\nkind = "stomp"\nhost = {json.dumps(artemis[0])}\nport = {artemis[1]}\n' if artemis else "")
        )

    def command(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end with these settings."""
        command = [sys.executable, "-c", KVITT, *arguments, "--config", str(self.config)]
        given = {**os.environ, **(environment or {})}
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, env=given)

    def final(self, keys: Sequence[str]) -> dict[str, list[Status]]:
        """The final statuses of these keys that the status topic holds now."""
        published: dict[str, list[Status]] = {key: [] for key in keys}
        for record in read(self.kafka, self.start):
            key, value = (record.key() or b"").decode(), record.value()
            if key in published and value and (found := decode_status(value).status) in FINAL:
                published[key].append(found)
        return published

    def await_final(self, keys: Sequence[str]) -> dict[str, list[Status]]:
        """The final statuses of these keys, as soon as each has one."""
        found: dict[str, list[Status]] = {}

        def all_are_final() -> bool:
            found.update(self.final(keys))
            return all(found.values())

        # Each look is a consumer that reads the topic from where the test began.
        until(all_are_final, what="not every key got its final status", every=0.2)
        return found


class Runner:
    """One `kvitt run`."""

    def __init__(self, place: Place, roles: str) -> None:
        self.log = place.config.with_name(f"{roles.replace(',', '-')}-{uuid4().hex[:4]}.log")
        command = [sys.executable, "-c", KVITT, "run", "--roles", roles, "--config", str(place.config)]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    @property
    def lines(self) -> list[str]:
        """What it has logged."""
        return self.log.read_text("utf-8").splitlines()


@contextmanager
def running(place: Place, *roles: str) -> Iterator[list[Runner]]:
    """Processes with these roles, killed if they outlive the block."""
    runners = [Runner(place, each) for each in roles]
    try:
        yield runners
    finally:
        for runner in runners:
            if runner.process.poll() is None:
                runner.process.kill()
                runner.process.wait()
