"""Where log lines go: the ordinary log to standard error, the restricted one to a file of its own (design §11).

Personal data is only ever written to the logger `kvitt.restricted`; that name decides the way, whatever level or form is asked for.
What libraries say through the standard library's logging comes as lines of the same form.
"""

import logging
import os
import sys
import threading
from collections.abc import MutableMapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import structlog
from msgspec import Struct

from kvitt.kernel.state_log import Level, StateLog

RESTRICTED: Final = "kvitt.restricted"
RESTRICTED_FILE: Final = "restricted.log"
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50, "exception": 40, "warn": 30, "msg": 20}
_LogFields = MutableMapping[str, Any]


class LogForm(StrEnum):
    """How ordinary lines look: for a program that collects them, or for a person at a terminal."""

    JSON = "json"
    CONSOLE = "console"


class LogTerms(Struct, frozen=True):
    """How this process logs: below which directory, from which level on, and in which form."""

    data: Path
    level: str
    form: LogForm


class _Ordinary:
    """Writes lines to standard error; the stream is looked up each time, so that whoever replaces it is heeded."""

    restricted = False

    def msg(self, line: str) -> None:
        # In one piece: other processes write to the same file.
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    debug = info = warning = error = critical = exception = warn = fatal = log = msg


class _Restricted:
    """Appends lines to a file that only its owner may read; nothing exists until there is a first line."""

    restricted = True

    def __init__(self, file: Path) -> None:
        self._file, self._lock, self._number = file, threading.Lock(), -1

    def msg(self, line: str) -> None:
        with self._lock:
            if self._number < 0:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._number = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
                # A file that somebody made before us with wider rights is narrowed too.
                os.fchmod(self._number, 0o600)
            os.write(self._number, f"{line}\n".encode())

    debug = info = warning = error = critical = exception = warn = fatal = log = msg


_Logger = _Ordinary | _Restricted


class _Threshold:
    """Drops ordinary lines below a level; restricted ones are always kept."""

    def __init__(self, level: str) -> None:
        self._least = _LEVELS[level]

    def __call__(self, logger: _Logger, method: str, event: _LogFields) -> _LogFields:
        if not logger.restricted and _LEVELS.get(method, 20) < self._least:
            raise structlog.DropEvent
        return event


class _OfWorker:
    """Says which worker a line is of; nothing where there is one process."""

    def __init__(self, worker: int | None) -> None:
        self._worker = worker

    def __call__(self, logger: _Logger, method: str, event: _LogFields) -> _LogFields:  # noqa: ARG002 - as structlog has it
        if self._worker is not None:
            event.setdefault("worker", self._worker)
        return event


class _Renderer:
    """Restricted lines are always JSON; ordinary ones as asked for."""

    def __init__(self, form: LogForm) -> None:
        self._json = structlog.processors.JSONRenderer(ensure_ascii=False)
        self._ordinary: structlog.typing.Processor = (
            self._json
            if form is LogForm.JSON
            # Not the rich tracebacks: they show local variables, which may be personal data.
            else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        )

    def __call__(self, logger: _Logger, method: str, event: _LogFields) -> Any:
        render = self._json if logger.restricted else self._ordinary
        return render(logger, method, event)


class _Libraries(logging.Handler):
    """Takes what libraries say: that one has spoken, and of what kind of error; its words, which may quote anybody, are restricted."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._states, self._restricted = StateLog(structlog.get_logger("kvitt.libraries")), structlog.get_logger(f"{RESTRICTED}.libraries")

    def emit(self, record: logging.LogRecord) -> None:
        """One record; the same again and again is counted."""
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        where = {"library": record.name, "line": f"{record.module}:{record.lineno}"}
        kind = where["line"], error
        if self._states.enters(f"{record.name} {kind}", kind, level, "a library says", **where, error=error):
            self._restricted.warning("a library says", **where, said=record.getMessage(), exc_info=record.exc_info or False)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is the standard library's
        """A line that can not be made is not worth a traceback between the others."""


def _hear_libraries() -> None:
    """Instead of the handlers that there were, and of the standard library's last resort: raw lines to standard error."""
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _Libraries)]:
        root.removeHandler(handler)
    root.addHandler(_Libraries())


_terms: LogTerms | None = None


def terms_in_force() -> LogTerms:
    """How this process logs, for others that shall do the same; as nothing is set, where nobody has said."""
    return _terms or LogTerms(Path(), "warning", LogForm.CONSOLE)


def set_up(data: Path, *, level: str = "warning", form: LogForm = LogForm.CONSOLE, worker: int | None = None) -> None:
    """From now on ordinary lines of `level` and above go to standard error in `form`, restricted ones to `data`/restricted.log (0600).

    Every line names the `worker`, where several write to one place.
    """
    global _terms  # noqa: PLW0603 - like the configuration of structlog, there is one for the process
    _terms = LogTerms(data, level, form)
    ordinary, restricted = _Ordinary(), _Restricted(data / RESTRICTED_FILE)

    def logger_named(*names: str) -> _Logger:
        return restricted if names and (names[0] == RESTRICTED or names[0].startswith(f"{RESTRICTED}.")) else ordinary

    structlog.configure(
        processors=[
            _Threshold(level),
            structlog.contextvars.merge_contextvars,
            _OfWorker(worker),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.set_exc_info,
            structlog.processors.format_exc_info,
            _Renderer(form),
        ],
        logger_factory=logger_named,
        wrapper_class=structlog.BoundLogger,
        cache_logger_on_first_use=False,
    )
    _hear_libraries()
