"""Lines: a term as text, in one line when it fits, else cut into numbered let-lines.

A subexpression gets a line of its own when it is used several times and long enough for that to pay, or when
the line it stands in would become too long. Each term is spelled once, children first, so that neither depth
nor sharing costs anything.
"""

from __future__ import annotations

import re

from lazygrad.mathematics.spelling import Speller, join_summands
from lazygrad.mathematics.term import Term, all_terms
from lazygrad.mathematics.text import SUM, Text

LINE_LENGTH = 100
# Shared subexpressions shorter than this are written out each time.
SHARED_LENGTH = 12
# Nothing shorter is worth a line.
_LEAST_LENGTH = 6

# A let-line's name while its number is not known yet.
_MARK = re.compile("⟨(\\d+)⟩")


def write(root: Term, used_names: frozenset[str]) -> str:
    """The text of ``root``; let-lines avoid ``used_names``."""
    order = all_terms(root)
    return _one_line(root, order) or _Cutter(order, used_names).write(root)


def _one_line(root: Term, order: list[Term]) -> str | None:
    texts: dict[Term, Text] = {}
    speller = Speller(texts.__getitem__, lambda term: False, root.book.digits)
    for term in order:
        texts[term] = speller.spell(term)
        if len(texts[term].text) > LINE_LENGTH:
            return None
    return texts[root].text


class _Cutter:
    def __init__(self, order: list[Term], used_names: frozenset[str]) -> None:
        self.order = order
        self.used_names = used_names
        self.texts: dict[Term, Text] = {}
        self.lines: list[str] = []
        self.lets: dict[Term, int] = {}
        self.speller = Speller(self.texts.__getitem__, self.lets.__contains__, order[-1].book.digits)

    def write(self, root: Term) -> str:
        uses: dict[Term, int] = {}
        for term in self.order:
            for child in term.children:
                uses[child] = uses.get(child, 0) + 1
        for term in self.order:
            self.texts[term] = text = self._fitting(term)
            if term is not root and uses[term] > 1 and len(text.text) >= SHARED_LENGTH:
                self._let(term)
        return self._numbered(self.texts[root].text)

    def _fitting(self, term: Term) -> Text:
        """The text of a term, with its longest parts on lines of their own as far as needed."""
        text = self.speller.spell(term)
        if len(text.text) <= LINE_LENGTH:
            return text
        for child in sorted(self._parts(term), key=lambda part: -len(self.texts[part].text)):
            if len(self.texts[child].text) < _LEAST_LENGTH:
                break
            self._let(child)
            text = self.speller.spell(term)
            if len(text.text) <= LINE_LENGTH:
                return text
        return self._chunked(term) if term.kind == "sum" else text

    def _parts(self, term: Term) -> list[Term]:
        """What stands in the text of a term: its children, and those of children that are written into it."""
        parts: dict[Term, None] = {}
        pending = list(term.children)
        while pending:
            child = pending.pop()
            if child in self.lets or child in parts:
                continue
            parts[child] = None
            if child.kind == "product" or child.name in ("insert", "indicator"):
                pending.extend(child.children)
        return [part for part in parts if part.kind not in ("number", "symbol") and part.name != "indicator"]

    def _chunked(self, term: Term) -> Text:
        """A sum of very many parts: running totals."""
        line: list[str] = []
        for text in self.speller.summands(list(zip(term.data, term.children, strict=True))):
            if line and len(join_summands([*line, text])) > LINE_LENGTH:
                self.lines.append(join_summands(line))
                line = [f"⟨{len(self.lines) - 1}⟩"]
            line.append(text)
        return Text(join_summands(line), SUM)

    def _let(self, term: Term) -> None:
        if term in self.lets:
            return
        self.lets[term] = len(self.lines)
        self.lines.append(self.texts[term].text)
        self.texts[term] = Text(f"⟨{self.lets[term]}⟩")

    def _numbered(self, last: str) -> str:
        """The lines that are used, numbered in order of their appearance in the text."""
        needed: set[int] = set()
        pending = [last]
        while pending:
            for mark in _MARK.findall(pending.pop()):
                if int(mark) not in needed:
                    needed.add(int(mark))
                    pending.append(self.lines[int(mark)])
        names: dict[str, str] = {}
        number = 0
        for index in sorted(needed):
            number += 1
            while f"t{number}" in self.used_names:
                number += 1
            names[str(index)] = f"t{number}"

        def put(text: str) -> str:
            return _MARK.sub(lambda match: names[match.group(1)], text)

        return "\n".join([*(f"{names[str(i)]} = {put(self.lines[i])}" for i in sorted(needed)), put(last)])
