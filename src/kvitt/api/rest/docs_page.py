"""Makes the page on which people read the API's description, and answers it to anybody, around the gate.

It is one document without scripts, so that it asks nobody for anything.
"""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from html import escape
from typing import Any, Final

from msgspec import Struct

from kvitt.api.rest.gate import App

PATH: Final = "/docs"
DESCRIPTION: Final = "/schema/openapi.json"
_METHODS: Final = ("get", "post", "put", "delete")
_STYLE: Final = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 64rem; margin: 0 auto; padding: 1rem; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
article { margin: 1rem 0 2.5rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { border: 1px solid var(--line); padding: .3rem .5rem; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { background: var(--soft); }
.method { text-transform: uppercase; font-weight: 700; }
a:focus-visible, summary:focus-visible { outline: 2px solid; outline-offset: 2px; }
"""
Node = Mapping[str, Any]
_READING: Final = ("GET", "HEAD")


class PublicPage(Struct, frozen=True):
    """A document as it is answered."""

    headers: Mapping[str, str]
    body: bytes


class PublicPages:
    """An ASGI app around another one: documents by their paths, without a token. They say nothing of anybody.

    They are made when the first is asked for, in one of the `threads`; from then on they cost no work.
    """

    def __init__(self, app: App, make_pages: Callable[[], Mapping[str, PublicPage]], threads: ThreadPoolExecutor) -> None:
        """`make_pages` returns the documents of DESCRIPTION and PATH."""
        self._app, self._make_pages, self._threads = app, make_pages, threads
        self._made: asyncio.Future[Mapping[str, PublicPage]] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        path = scope["path"].rstrip("/") if scope["type"] == "http" and scope["method"] in _READING else ""
        if path not in (DESCRIPTION, PATH):
            await self._app(scope, receive, send)
            return
        if self._made is None:
            self._made = asyncio.get_running_loop().run_in_executor(self._threads, self._make_pages)
        # A caller who goes away does not end what others wait for.
        page = (await asyncio.shield(self._made))[path]
        shown = {**page.headers, "content-length": str(len(page.body))}
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in shown.items()]
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        await send({"type": "http.response.body", "body": page.body if scope["method"] == "GET" else b""})


def headers() -> Mapping[str, str]:
    """Headers of the page: a browser loads nothing for it, runs nothing on it, and shows it in no frame."""
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }


def page_of(described: Node) -> bytes:
    """The page of an OpenAPI description."""
    operations = [*_operations(described)]
    tags = list(dict.fromkeys(_tag(operation) for _, _, operation in operations))
    title = escape(described["info"]["title"])
    body = [
        f"<header><h1>{title}</h1>{_prose(described['info'].get('description', ''))}",
        f'<p>OpenAPI {escape(described["openapi"])}: <a href="{DESCRIPTION}">{DESCRIPTION}</a></p></header>',
        '<nav aria-label="Operations">',
        *(_listed(tag, [each for each in operations if _tag(each[2]) == tag]) for tag in tags),
        '<p><a href="#forms">Forms</a></p></nav><main>',
        *(_group(tag, [each for each in operations if _tag(each[2]) == tag]) for tag in tags),
        '<section id="forms"><h2>Forms</h2>',
        *(_form(name, form) for name, form in sorted(described["components"]["schemas"].items())),
        "</section></main>",
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title><style>{_STYLE}</style>'
    return "\n".join(["<!doctype html>", f'<html lang="en"><head>{head}</head><body>', *body, "</body></html>", ""]).encode()


def _operations(described: Node) -> Iterator[tuple[str, str, Node]]:
    for path, item in described["paths"].items():
        for method in _METHODS:
            if method in item:
                yield method, path, item[method]


def _tag(operation: Node) -> str:
    return str((operation.get("tags") or ["other"])[0])


def _named(method: str, path: str) -> str:
    return f'<span class="method">{method}</span> <code>{escape(path)}</code>'


def _listed(tag: str, operations: Sequence[tuple[str, str, Node]]) -> str:
    items = "".join(
        f'<li><a href="#{escape(each["operationId"])}">{_named(method, path)}</a> {escape(each.get("summary", ""))}</li>'
        for method, path, each in operations
    )
    return f"<p><strong>{escape(tag)}</strong></p><ul>{items}</ul>"


def _group(tag: str, operations: Sequence[tuple[str, str, Node]]) -> str:
    return f"<section><h2>{escape(tag)}</h2>{''.join(_operation(*each) for each in operations)}</section>"


def _operation(method: str, path: str, operation: Node) -> str:
    parts = [
        f'<article id="{escape(operation["operationId"])}"><h3>{_named(method, path)}</h3>',
        f"<p><strong>{escape(operation.get('summary', ''))}</strong></p>{_prose(operation.get('description', ''))}",
        _parameters(operation.get("parameters", [])),
        *(_body(kind, media) for kind, media in operation.get("requestBody", {}).get("content", {}).items()),
        _answers(operation["responses"]),
        "</article>",
    ]
    return "".join(parts)


def _parameters(parameters: Sequence[Node]) -> str:
    if not parameters:
        return ""
    rows = [
        [
            f"<code>{escape(each['name'])}</code>",
            escape(each["in"]) + ("" if each.get("required") else ", optional"),
            _rule(each.get("schema", {})),
            _inline(each.get("description", "")),
        ]
        for each in parameters
    ]
    return "<h4>Parameters</h4>" + _table(("name", "in", "is", "meaning"), rows)


def _body(kind: str, media: Node) -> str:
    schema = media.get("schema", {})
    forms = [_members(form) for form in schema.get("anyOf", [schema]) if "properties" in form]
    return f"<h4>Body</h4><p><code>{escape(kind)}</code>: {_rule(schema)}</p>{''.join(forms)}{_examples(media)}"


def _answers(responses: Mapping[str, Node]) -> str:
    rows = []
    for status, answer in sorted(responses.items()):
        content = answer.get("content", {})
        forms = "<br>".join(f"<code>{escape(kind)}</code>: {_rule(media.get('schema', {}))}" for kind, media in content.items())
        shown = "".join(_examples(media) for media in content.values())
        rows.append([f"<code>{escape(status)}</code>", _inline(answer["description"]) + shown, forms or "no body"])
    return "<h4>Answers</h4>" + _table(("status", "when", "form"), rows)


def _examples(media: Node) -> str:
    """Examples of a body, each to be opened by its name."""
    shown = [
        f"<details><summary>{_inline(each.get('summary') or name)}</summary><pre>{_written(each.get('value'))}</pre></details>"
        for name, each in media.get("examples", {}).items()
    ]
    return "".join(shown)


def _written(value: object) -> str:
    return escape(json.dumps(value, ensure_ascii=False, indent=2))


def _form(name: str, form: Node) -> str:
    parts = [f'<article id="form-{escape(name)}"><h3>{escape(name)}</h3>{_prose(form.get("description", ""))}']
    if "properties" in form:
        parts.append(_members(form))
    else:
        parts.append(f"<p>{_rule(form)}</p>")
    return "".join([*parts, "</article>"])


def _members(form: Node) -> str:
    return _table(("member", "is", "meaning"), [*_member_rows(form, "")])


def _member_rows(form: Node, within: str) -> Iterator[Sequence[str]]:
    """A row for each member of a form, and below it for those that it has itself."""
    required = form.get("required", [])
    for member, each in form["properties"].items():
        place, optional = f"{within}{member}", "" if member in required else ", optional"
        yield [f"<code>{escape(place)}</code>", _rule(each) + optional, _inline(each.get("description", "")) + _samples(each)]
        for kind, behind in ((each, "."), (each.get("items", {}), "[].")):
            for choice in [kind, *kind.get("anyOf", ())]:
                if "properties" in choice:
                    yield from _member_rows(choice, f"{place}{behind}")


def _samples(schema: Node) -> str:
    return "".join(f" e.g. <code>{_written(each)}</code>" for each in schema.get("examples", ()))


_BOUNDS: Final = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "pattern": "as {}",
    "default": "{} if not said",
}


def _rule(schema: Node) -> str:
    """The kind of value and its bounds, in words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#form-{name}">{name}</a>'
    if choices := schema.get("oneOf") or schema.get("anyOf"):
        kind = " or ".join(_rule(each) for each in choices)
    elif "enum" in schema:
        kind = "one of " + ", ".join(f"<code>{_written(each)}</code>" for each in schema["enum"])
    elif schema.get("type") == "array":
        kind = f"a list of {_rule(schema.get('items', {}))}"
    else:
        types = schema.get("type", "any value")
        kind = escape(types if isinstance(types, str) else " or ".join(types))
        kind += f" ({escape(schema['format'])})" if "format" in schema else ""
    bounds = [escape(said.format(_bound(schema[name]))) for name, said in _BOUNDS.items() if name in schema]
    return ", ".join([kind, *bounds])


def _bound(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{each}</th>' for each in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>"


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(each)}</p>" for each in text.strip().split("\n\n") if each)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
