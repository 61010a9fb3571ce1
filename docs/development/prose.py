"""Find words that this project does not write: in docs, docstrings, comments, messages and templates.

`make lint` runs it. Each word is printed with its place and what to write instead.
"""

from __future__ import annotations

import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
#: What not to write, and what to write instead.
WORDS: Final = {
    r"whoever": "name the subject: the user, the client, the caller",
    r"nobody": "no one; better, name the subject: no store, no client",
    r"somebody": "someone; better, name the subject: a user, another process",
    r"shall": "must, should, or the present tense",
    r"told(?! apart)": "passed, called with, reported",
    r"anew": "again, from the beginning",
    r"(?<!there )(?:is|are) (?-i:none)": "say what it is not: is not a number",
    r"so many": "name the unit first: Rows per batch: …",
}
_WORD: Final = re.compile("|".join(rf"\b(?P<w{place}>{word})\b" for place, word in enumerate(WORDS)), re.IGNORECASE)
#: Where prose is.
_PLACES: Final = ("*.md", "Makefile", "Dockerfile", "compose.yaml", "docs/**/*.md", "src/**/*")
_TEXT: Final = (".py", ".md", ".html", ".js", ".css", ".sql", ".mako")
#: What is code in other files, by their ending, and in strings that are formatted.
_CODE: Final = {".html": re.compile(r"{%.*?%}|{{.*?}}"), ".js": re.compile(r"^(?!.*//).*$|^.*?(?=//)")}
_FIELD: Final = re.compile(r"{[^{}]*}")
#: Records that are not edited, what others wrote, and files that are not in line yet.
_LEFT_OUT: Final = (
    "CHANGELOG.md",
    "docs/development/decisions/",
    "docs/development/prose.py",
    "src/uphours/service/static/vendor/",
    "src/uphours/service/static/swagger-ui/",
)


def files() -> Iterator[Path]:
    """Yield the files whose prose is checked."""
    for path in sorted({path for place in _PLACES for path in ROOT.glob(place) if path.is_file()}):
        name = str(path.relative_to(ROOT))
        if (path.suffix in _TEXT or "." not in path.name or path.suffix == ".yaml") and not name.startswith(_LEFT_OUT):
            yield path


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of prose of a file with their numbers; of Python, comments and strings alone."""
    if path.suffix != ".py":
        code = _CODE.get(path.suffix)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield number, code.sub("", line) if code else line
        return
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type in kinds:
                yield from enumerate(_FIELD.sub("{}", token.string).splitlines(), token.start[0])


def main() -> int:
    """Print every word that is not written here, and return how many there are, at most 1."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]!r}: {list(WORDS.values())[int(str(match.lastgroup)[1:])]}"
        for path in files()
        for number, line in prose(path)
        for match in _WORD.finditer(line)
    ]
    print("\n".join(found), file=sys.stderr)
    return min(len(found), 1)


if __name__ == "__main__":
    sys.exit(main())
