"""The XML of STS answers."""

import random
import re
import time
from xml.sax.saxutils import escape

# What XML 1.0 cannot carry even escaped; error messages quote the client's bytes.
_UNSPEAKABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


def document(root, children, *, shuffle=False):
    """An XML document. `children` is a list of (name, text or list of children)."""
    return f'<{root} xmlns="{NAMESPACE}">\n' + _elements(children, 1, shuffle) + f"</{root}>\n"


def _elements(children, depth, shuffle):
    children = [child for child in children if child[1] is not None]
    if shuffle:
        random.shuffle(children)
    indent = "  " * depth
    lines = []
    for name, content in children:
        if isinstance(content, list):
            inner = _elements(content, depth + 1, shuffle)
            lines.append(f"{indent}<{name}>\n{inner}{indent}</{name}>\n")
        else:
            text = escape(_UNSPEAKABLE.sub("?", str(content)))
            lines.append(f"{indent}<{name}>{text}</{name}>\n")
    return "".join(lines)


def error(error, request_id, *, shuffle=False):
    return document("ErrorResponse", [
        ("Error", [("Type", error.blame), ("Code", error.code), ("Message", error.message)]),
        ("RequestId", request_id)], shuffle=shuffle)


def result(action, children, request_id, *, shuffle=False):
    return document(f"{action}Response", [
        (f"{action}Result", children),
        ("ResponseMetadata", [("RequestId", request_id)])], shuffle=shuffle)


def timestamp(second, style="aws"):
    """A time in whole seconds as AWS writes it, or as other STS implementations do."""
    base = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return base + {"aws": "Z", "fraction": ".123456789Z", "offset": "+00:00"}[style]


def padded(body, size):
    """The same document, made `size` bytes long by a comment in front of its last tag."""
    missing = size - len(body) - len("<!---->")
    if missing <= 0:
        return body
    at = body.rindex(b"</")
    return body[:at] + b"<!--" + b"x" * missing + b"-->" + body[at:]
