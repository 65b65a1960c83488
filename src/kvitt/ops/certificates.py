"""How long the certificates last that this process shows to others."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from kvitt.kernel.clock import Clock
from kvitt.settings import Settings

_SAID: Final = "Seconds until the certificate of an API, the console or a client ends; below zero: it has, or its file can not be read"
_UNREADABLE: Final = -1.0


def certificate_files(settings: Settings) -> Mapping[str, Path]:
    """The certificates that are set, by whose they are."""
    files: Mapping[str, Path | str | None] = {
        "thrift": settings.thrift.certificate_file,
        "rest": settings.rest.certificate_file,
        "console": settings.console.certificate_file,
        "queue": settings.queue.certificate_file,
        "simulation": settings.simulation.certificate_file,
    }
    return {of: Path(file) for of, file in files.items() if file}


class CertificateFigures(Collector):
    """How long each certificate still lasts; the files are read at each scrape, since they are replaced while a process runs."""

    def __init__(self, files: Mapping[str, Path], clock: Clock) -> None:
        self._files, self._clock = files, clock

    def collect(self) -> Iterator[Metric]:
        """One figure for each file; of a chain, that of the certificate that ends first."""
        family = GaugeMetricFamily("kvitt_certificate_ends_seconds", _SAID, labels=("of",))
        for of, file in self._files.items():
            family.add_metric((of,), self._seconds(file))
        yield family

    def _seconds(self, file: Path) -> float:
        try:
            return (_first_end(file.read_bytes()) - self._clock()).total_seconds()
        except (OSError, ValueError):
            return _UNREADABLE


def _first_end(pem: bytes) -> datetime:
    # Only where there is a certificate is what reads them held in memory.
    from cryptography.x509 import load_pem_x509_certificates

    return min(each.not_valid_after_utc for each in load_pem_x509_certificates(pem))
