"""CLIP's word pieces (byte pair encoding, Sennrich et al. 2016) from the vocabulary file that CLIP ships.

The file holds one merge a line, best first, after a line of version; CLIP uses the first 48,894 of them.
"""

import gzip
import html
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from .checkpoint import CheckpointError

MERGES = 48_894  # 49,408 pieces less 512 bytes and two marks
START, END = "<|startoftext|>", "<|endoftext|>"
WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+", re.IGNORECASE)
LARGEST_BYTES = 50_000_000  # of the file, unpacked


@dataclass(frozen=True)
class WordPieces:
    """Pieces by number, and merges by rank."""

    number: dict[str, int]
    rank: dict[tuple[str, str], int]

    @classmethod
    def read(cls, path: Path) -> "WordPieces":
        """Raises CheckpointError when the file is missing or holds no merges."""
        try:
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                text = lines.read(LARGEST_BYTES)
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise CheckpointError(
                f"{path} cannot be read ({error}); expected CLIP's vocabulary there"
            ) from error
        pairs = [tuple(line.split()) for line in text.split("\n")[1 : 1 + MERGES] if line.strip()]
        if not pairs or any(len(pair) != 2 for pair in pairs):
            raise CheckpointError(f"{path} holds no merges of two pieces a line; expected CLIP's vocabulary")
        return cls.of([(pair[0], pair[1]) for pair in pairs])

    @classmethod
    def of(cls, merges: list[tuple[str, str]]) -> "WordPieces":
        """Bytes, bytes that end a word, merges, two marks: numbered in this order."""
        letters = list(byte_letters().values())
        names = [*letters, *(letter + "</w>" for letter in letters), *map("".join, merges), START, END]
        number = {name: i for i, name in enumerate(names)}
        return cls(number, {pair: i for i, pair in enumerate(merges)})

    def encode(self, text: str, context: int) -> list[int]:
        """Piece numbers between the marks, padded with 0; a text that is too long is cut."""
        clean = re.sub(r"\s+", " ", html.unescape(html.unescape(text))).strip().lower()
        pieces = [piece for word in WORDS.findall(clean) for piece in self._pieces(word)]
        numbers = [self.number[START], *(self.number[piece] for piece in pieces[: context - 2])]
        numbers.append(self.number[END])
        return numbers + [0] * (context - len(numbers))

    def _pieces(self, word: str) -> list[str]:
        """Merge the pair of the best rank until none is left."""
        letters = byte_letters()
        parts = [letters[byte] for byte in word.encode()]
        parts[-1] += "</w>"
        while len(parts) > 1:
            ranks = [self.rank.get(pair, MERGES) for pair in pairwise(parts)]
            best = min(ranks)
            if best == MERGES:
                break
            merged, i = [], 0
            while i < len(parts):
                joins = i < len(ranks) and ranks[i] == best
                merged.append(parts[i] + parts[i + 1] if joins else parts[i])
                i += 2 if joins else 1
            parts = merged
        return parts


@lru_cache(maxsize=1)
def byte_letters() -> dict[int, str]:
    """A printable letter for each byte: itself where it is printable, else one beyond 255."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable}
    return letters | {byte: chr(256 + i) for i, byte in enumerate(others)}
