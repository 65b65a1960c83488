"""A kvitt that listens for Thrift on a free port, and two clients of other makers that call it over HTTP."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
from thrift.protocol.TBinaryProtocol import TBinaryProtocol as ApacheBinaryProtocol
from thrift.transport.THttpClient import THttpClient as ApacheHttpClient
from thriftpy2.http import THttpClient
from thriftpy2.protocol.binary import TBinaryProtocol
from thriftpy2.thrift import TClient

import kvitt.testing
from kvitt.api.http_server import HttpListener, ListenAddress
from kvitt.api.thrift.server import Endpoint, ThriftApp
from kvitt.formats.thrift.interface import module
from kvitt.kernel.clock import utc_now
from support.patience import PATIENCE_SECONDS

TRACE = {"woody.trace-id": "77", "woody.span-id": "78", "woody.parent-id": "undefined"}
THRIFT = {"content-type": "application/x-thrift"}


@contextmanager
def serving(endpoints: Mapping[str, Endpoint]) -> Iterator[str]:
    """The address at which these endpoints answer."""
    listener = HttpListener(ListenAddress("127.0.0.1", 0, 0), "thrift")
    try:
        with listener.serving(ThriftApp(endpoints)):
            yield listener.url
    finally:
        listener.close()


@contextmanager
def ledger_api(conninfo: str) -> Iterator[str]:
    """The address of a ledger on this database."""
    with kvitt.testing.hub(conninfo=conninfo, start=utc_now()) as hub:
        yield hub.thrift.url


@contextmanager
def thriftpy_client(url: str, interface: str, service: str) -> Iterator[Any]:
    """A client of thriftpy2, which sends what it always sends and the headers of the trace."""
    transport = THttpClient(url)
    transport.setCustomHeaders(TRACE)
    transport.open()
    try:
        yield TClient(getattr(module(interface), service), TBinaryProtocol(transport))
    finally:
        transport.close()


def post(url: str, body: bytes, **headers: str | None) -> httpx.Response:
    """A request with the headers of a call; a header given as None is left out. Underlines stand for dashes."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    published = {name: value for name, value in {**TRACE, **THRIFT, **given}.items() if value is not None}
    return httpx.post(url, content=body, headers=published, timeout=PATIENCE_SECONDS)


def compiled(directory: Path) -> Path:
    """Our interface definitions as Apache Thrift's compiler makes Python of them; a posting may be the key of a map."""
    idl, generated = directory / "idl", directory / "generated"
    shutil.copytree(str(files("kvitt.formats.thrift") / "idl"), idl)
    file = idl / "plans.thrift"
    head, rest = file.read_text("utf-8").split("struct Posting {", 1)
    posting, rest = rest.split("}", 1)
    file.write_text(f'{head}struct Posting {{{posting}}} (python.immutable = ""){rest}', "utf-8")
    generated.mkdir()
    for name in ("payouts", "accounter", "shumpune", "parties"):
        subprocess.run(
            ["thrift", "-r", "--gen", "py", "-out", str(generated), str(idl / f"{name}.thrift")], check=True, timeout=PATIENCE_SECONDS
        )
    return generated


@contextmanager
def apache_client(url: str, client: Any) -> Iterator[Any]:
    """A client of Apache Thrift's library, of a compiled service."""
    transport = ApacheHttpClient(url)
    transport.setCustomHeaders(TRACE)
    transport.open()
    try:
        yield client(ApacheBinaryProtocol(transport))
    finally:
        transport.close()
