"""XML is read in one hardened way: no document types, no entities, no network, bounded depth and size (design §11)."""

import re
from typing import Final

from lxml import etree

PADDING: Final = "\ufeff\x00 \t\r\n"
"""What may stand around texts and documents, and is none of their content."""

_DECLARATION = re.compile(r"<\?xml\b[^>]{0,200}\?>", re.IGNORECASE)
_ENCODING = re.compile(rb"""<\?xml\b[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""", re.IGNORECASE)
_LATIN = {"iso-8859-15": "iso-8859-15", "latin-9": "iso-8859-15", "windows-1252": "cp1252", "cp1252": "cp1252"}
_PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, remove_comments=True, remove_pis=True
)


def parse(xml: bytes) -> etree._Element:
    """The root element; raises lxml's XMLSyntaxError for what is not well-formed, ValueError for any document type."""
    if b"<!DOCTYPE" in xml:
        raise ValueError("a document type is not allowed")
    root = etree.fromstring(xml, _PARSER)
    if root.getroottree().docinfo.internalDTD is not None:  # reached in encodings that hide the word from the search above
        raise ValueError("a document type is not allowed")
    return root


def text_of(body: bytes) -> str:
    """The document that bytes are, whatever encoding they claim, without its declaration and what pads it."""
    return _without_declaration(_text(body))


def _text(body: bytes) -> str:
    """The characters of the body. Bytes that are UTF-8 are read as that, whatever they claim: no other encoding looks like it."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", errors="replace")
    try:
        return body.decode()
    except UnicodeDecodeError:
        claim = _ENCODING.search(body[:300])
        name = claim[1].decode("ascii").lower() if claim else ""
        return body.decode(_LATIN.get(name, "iso-8859-1"), errors="replace")


def _without_declaration(text: str) -> str:
    text = text.strip(PADDING)
    declaration = _DECLARATION.match(text)
    return text[declaration.end() :].lstrip(PADDING) if declaration else text
