"""A report as data: sections of text, tables and pictures, written as Markdown and as HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tabulate import tabulate


@dataclass(frozen=True)
class Text:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list of plain texts."""

    items: Sequence[str]


@dataclass(frozen=True)
class Grid:
    """A table of plain texts under a caption.

    The first ``left`` columns are aligned left, the others right.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1


@dataclass(frozen=True)
class Picture:
    """A picture: its path relative to the report, a caption, and what it is in a few words."""

    file: str
    caption: str
    alt: str


Block = Text | Points | Grid | Picture


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: list[Block] = field(default_factory=list)


def to_markdown(title: str, sections: Sequence[Section]) -> str:
    """The document as Markdown; nothing in a text is taken for markup."""
    parts = [f"# {_plain(title)}"]
    for section in sections:
        parts.append(f"## {_plain(section.title)}")
        parts += [_markdown(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def to_html(title: str, sections: Sequence[Section]) -> str:
    """The document as one HTML page; everything is escaped, pictures are linked."""
    head = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )
    body = [f"<h1>{html.escape(title)}</h1>"]
    for section in sections:
        body.append(f"<h2>{html.escape(section.title)}</h2>")
        body += [_html(block) for block in section.blocks]
    return head + "\n".join(body) + "\n</body>\n</html>\n"


STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#222;background:#fff;
max-width:1100px;margin:2em auto;padding:0 1em}
h2{margin-top:2em;border-bottom:1px solid #ccc}
p,li{max-width:48em}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:14px;margin:.5em 0 1.5em}
caption{text-align:left;padding:.3em 0}
th,td{padding:.25em .6em;border-bottom:1px solid #ddd;text-align:right;vertical-align:top}
th.l,td.l{text-align:left}
figure{margin:1em 0}
img{max-width:100%;width:800px}
figcaption,caption{color:#555;font-size:14px}
"""


def _markdown(block: Block) -> str:
    if isinstance(block, Text):
        return _plain(block.text)
    if isinstance(block, Points):
        return "\n".join(f"- {_plain(item)}" for item in block.items)
    if isinstance(block, Picture):
        return f"![{_plain(block.alt)}]({block.file})\n\n{_plain(block.caption)}"
    align = ["left" if n < block.left else "right" for n in range(len(block.columns))]
    rows = [[_plain(cell) for cell in row] for row in block.rows]
    columns = [_plain(name) for name in block.columns]
    grid = tabulate(rows, columns, tablefmt="pipe", colalign=align, disable_numparse=True)
    return f"{_plain(block.caption)}\n\n{grid}"


def _html(block: Block) -> str:
    if isinstance(block, Text):
        return f"<p>{html.escape(block.text)}</p>"

    if isinstance(block, Points):
        return (
            "<ul>\n"
            + "\n".join(f"<li>{html.escape(item)}</li>" for item in block.items)
            + "\n</ul>"
        )
    if isinstance(block, Picture):
        caption, file, alt = (html.escape(text) for text in (block.caption, block.file, block.alt))
        return f'<figure><img src="{file}" alt="{alt}"><figcaption>{caption}</figcaption></figure>'

    head = _cells("th", block.columns, block.left)
    rows = "\n".join(_cells("td", row, block.left) for row in block.rows)
    return (
        f'<div class="wide"><table><caption>{html.escape(block.caption)}</caption>\n'
        f"<thead>{head}</thead>\n<tbody>\n{rows}\n</tbody></table></div>"
    )


def _cells(tag: str, texts: Sequence[str], left: int) -> str:
    """A row of a table."""
    opening = [f'<{tag} class="l">' if n < left else f"<{tag}>" for n in range(len(texts))]
    cells = (
        f"{begin}{html.escape(text)}</{tag}>" for begin, text in zip(opening, texts, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _plain(text: str) -> str:
    """Markdown that reads as ``text``: one line, with what would be markup escaped."""
    line = " ".join(text.split())
    line = re.sub(r"([\\`*\[\]|])", r"\\\1", line)
    line = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", line)
    line = re.sub(r"<(?=[A-Za-z/!?])", r"\\<", line)
    return re.sub(r"&(?=#?\w+;)", "&amp;", line)
