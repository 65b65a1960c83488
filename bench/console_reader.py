"""People who read pages of the console over HTTP, in a process of their own, so that they cost the measured ones nothing but pages."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import unescape
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final, NamedTuple
from urllib.parse import urljoin

import httpx

_PERSON: Final = "Guro"
_SECONDS: Final = 30.0
Taken = dict[str, list[float]]
"""Milliseconds from when a page was due to when all of it was there, by its name."""


class Page(NamedTuple):
    """A page to be read; one with `search` is what is found by that."""

    name: str
    path: str
    search: str = ""


class Reader:
    """A browser without scripts, logged in as a made-up person."""

    def __init__(self, url: str) -> None:
        self._client, self._url = httpx.Client(timeout=_SECONDS, trust_env=False), url
        self._cookies: dict[str, str] = {}
        chooses = self._get(_link(self._get("/login").text, "Log in"))
        self._get(_link(chooses.text, _PERSON))
        found = re.search(r'name="csrf" value="([^"]+)"', self._get("/search").text)
        assert found, "who is logged in has a form"
        self._csrf = found[1]

    def read(self, page: Page) -> None:
        """Has all of a page."""
        form = {"csrf": self._csrf, "q": page.search}
        answer = self._asked("POST", page.path, form) if page.search else self._get(page.path)
        assert answer.status_code == httpx.codes.OK, f"{page.path}: {answer.status_code}"

    def _get(self, path: str) -> httpx.Response:
        return self._asked("GET", path, None)

    def _asked(self, method: str, path: str, form: dict[str, str] | None) -> httpx.Response:
        # A client keeps no cookies that are for TLS alone, which browsers take from the loopback.
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if form:
            headers |= {"origin": self._url, "sec-fetch-site": "same-origin"}
        answer = self._client.request(method, urljoin(self._url, path), data=form, headers=headers)
        for each in answer.headers.get_list("set-cookie"):
            name, _, value = each.partition(";")[0].partition("=")
            self._cookies[name] = value
        return self._get(answer.headers["location"]) if answer.is_redirect else answer


def _link(text: str, name: str) -> str:
    found = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>(?:<bdi>)?{name}', text)
    assert found, f"there is no link {name}"
    return unescape(found[1])


def _read(url: str, pages: Sequence[Page], per_second: float, orders: Connection) -> None:
    """Reads pages in turn, at this rate whether or not they are slow, whenever it is asked to, until it is asked for what it took."""
    reader, turn = Reader(url), cycle(pages)
    for _ in range(2 * len(pages)):
        reader.read(next(turn))
    while True:
        orders.send("ready")
        orders.recv()
        taken: Taken = {page.name: [] for page in pages}
        begun, number = time.perf_counter(), 0
        while not orders.poll(max(0.0, begun + number / per_second - time.perf_counter())):
            page = next(turn)
            reader.read(page)
            taken[page.name].append(1000 * (time.perf_counter() - begun - number / per_second))
            number += 1
        orders.recv()
        orders.send(taken)


class Reading:
    """The process of whoever reads."""

    def __init__(self, orders: Connection) -> None:
        self._orders, self.taken = orders, Taken()

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Pages are read while the block runs; `taken` are the times after it."""
        assert self._orders.recv() == "ready"
        self._orders.send("begin")
        yield
        self._orders.send("end")
        self.taken = self._orders.recv()


@contextmanager
def reading(url: str, pages: Sequence[Page], per_second: float) -> Iterator[Reading]:
    """Somebody who reads pages when asked to, and is logged in until the block ends."""
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_read, args=(url, pages, per_second, there), daemon=True)
    process.start()
    there.close()
    try:
        yield Reading(here)
    finally:
        process.kill()
        process.join()
