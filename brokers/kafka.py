"""One real Kafka broker that is its own controller (KRaft)."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from brokers.broker import HOST, Broker, free_port
from brokers.java import HERE, BrokerFailed, kept

CLUSTER_ID = "kvitt-one-node-cluster"
_ANSWER_SECONDS = 1.0


class Kafka(Broker):
    """A broker on 127.0.0.1 with its data under `data_dir`; topics are made by those who need them, never by naming one."""

    name = "kafka"
    heap = "512m"
    kept_files = ("data/meta.properties", "data/bootstrap.checkpoint")

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        super().__init__(data_dir, port)
        self._controller_port = free_port()

    @property
    def address(self) -> str:
        """For `bootstrap.servers`."""
        return f"{HOST}:{self.port}"

    def start(self) -> str:
        """Starts it and returns its address for `bootstrap.servers` when it serves.

        Raises BrokerFailed when it does not start, BrokerUnavailable when it can't.
        """
        self._start()
        return self.address

    def restart(self) -> str:
        """Starts it again after `stop` or `kill`, with the same address and data."""
        self.stop()
        return self.start()

    @property
    def _settings(self) -> Path:
        return self.data_dir / "server.properties"

    def _configure(self) -> None:
        text = (HERE / "kafka-server.properties").read_text()
        named = {"port": self.port, "controller_port": self._controller_port, "data": self.data_dir / "data"}
        self._settings.write_text(text.format(**named))
        if not (self.data_dir / "data" / "meta.properties").exists():
            self._format()

    def _format(self) -> None:
        if kept(self.name).is_dir():
            (self.data_dir / "data").mkdir(exist_ok=True)
            for each in self.kept_files:
                shutil.copy(kept(self.name) / Path(each).name, self.data_dir / each)
            return
        arguments = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._settings)]
        done = subprocess.run(self._command(arguments), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BrokerFailed(f"kafka could not format its storage:\n{(done.stdout + done.stderr)[-2000:]}")

    def _main(self) -> Sequence[str]:
        return ["kafka.Kafka", str(self._settings)]

    def _answers(self) -> bool:
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0}, logger=None)
        try:
            return len(client.list_topics(timeout=_ANSWER_SECONDS).brokers) == 1
        except KafkaException:
            return False
