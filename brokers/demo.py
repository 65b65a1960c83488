"""`python -m brokers demo …`: the demo over a real Kafka and a real Artemis, started for it with fresh data, and stopped behind it."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from brokers.artemis import Artemis
from brokers.kafka import Kafka

_SETTINGS = """\
data = "{directory}/data"

[kafka]
bootstrap = "{kafka}"

[queue]
kind = "stomp"
host = "{host}"
port = {port}
"""


def demo(arguments: Sequence[str]) -> int:
    """Runs `kvitt demo` with these arguments over the brokers; returns its exit status. Raises BrokerUnavailable, BrokerFailed."""
    with tempfile.TemporaryDirectory(prefix="kvitt-demo-") as name, ExitStack() as running:
        directory = Path(name)
        # The PostgreSQL of root runs as another user, who must be able to get here.
        directory.chmod(0o755)
        print("starting Kafka and Artemis …", file=sys.stderr, flush=True)
        kafka, artemis = Kafka(directory / "kafka"), Artemis(directory / "artemis")
        running.callback(kafka.stop)
        bootstrap = kafka.start()
        running.callback(artemis.stop)
        host, port = artemis.start()
        settings = directory / "kvitt.toml"
        settings.write_text(_SETTINGS.format(directory=directory, kafka=bootstrap, host=host, port=port), encoding="utf-8")
        command = [sys.executable, "-c", "from kvitt.app.main import main; main()", "demo", "--config", str(settings), *arguments]
        return subprocess.run(command, check=False).returncode
