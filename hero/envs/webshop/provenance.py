"""Hashes of what is on sale, so that a run can tell whether it goes on in the shop that it started in."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from hero.envs.webshop.arrays import source
from hero.envs.webshop.data import locate
from hero.envs.webshop.shop import Stock
from hero.envs.webshop.store import packed
from hero.types import JSON


def of_stock(stock: Stock) -> str:
    """Returns the SHA-256 of the embedded catalogue, which another version of this package may generate otherwise."""
    digest = sha256(f"{stock.page_size}\n".encode())
    for asin, product in stock.products.items():
        digest.update(f"{stock.splits[asin]} {packed(product)}\n".encode())
    return digest.hexdigest()


def of_files(directory: Path) -> dict[str, JSON]:
    """Returns size and hash of each of the original's files, by what it holds; its name and the index do not matter.

    They are those that an index keeps of the files it was made from: of all of a file up to 16 MB, and of parts of a
    larger one, so that the full catalogue takes no longer than a small one.

    Raises:
        DataError: a file is missing, or cannot be read.
    """
    return {name: source(file) for name, file in locate(directory).items()}
