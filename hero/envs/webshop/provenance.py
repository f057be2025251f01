"""What a shop is and what is on sale, so that a run can tell whether it goes on in the shop that it started in."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from hero.envs.webshop.catalogue.files import locate
from hero.envs.webshop.products.packed import packed
from hero.envs.webshop.shop import Shop, Stock
from hero.envs.webshop.storage.array_dir import source
from hero.types import JSON


def provenance_of(shop: Shop) -> dict[str, JSON]:
    """Returns `arguments` with the absolute path of `data`, `tasks`, which chose the goals, and a hash of all on sale.

    Raises:
        DataError: a file is missing by now, or cannot be read.
    """
    if shop.data is None:
        return {"arguments": {}, "tasks": dict(shop.tasks), "catalogue": _of_stock(shop.stock)}
    return {"arguments": {"data": str(shop.data)}, "tasks": dict(shop.tasks), "catalogue": _of_files(shop.data)}


def _of_stock(stock: Stock) -> str:
    """The SHA-256 of the embedded catalogue, which another version of this package may generate otherwise."""
    digest = sha256(f"{stock.page_size}\n".encode())
    for asin, product in stock.products.items():
        digest.update(f"{stock.splits[asin]} {packed(product)}\n".encode())
    return digest.hexdigest()


def _of_files(directory: Path) -> dict[str, JSON]:
    """Size and hash of each of the original's files, by what it holds; its name and the index do not matter.

    They are those that an index keeps of the files it was made from: of all of a file up to 16 MB, and of parts of a
    larger one, so that the full catalogue takes no longer than a small one.
    """
    return {name: source(file) for name, file in locate(directory).items()}
