"""Identifies a shop, so that a resumed run can tell whether it goes on in the shop that it started in."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from hero.envs.webshop.catalogue.files import locate
from hero.envs.webshop.products.packed import pack_product
from hero.envs.webshop.shop import Inventory, Shop
from hero.envs.webshop.storage.sampled_hash import hash_source
from hero.types import JSON


def provenance_of(shop: Shop) -> dict[str, JSON]:
    """Returns `arguments` with the absolute path of `data`, `tasks`, which chose the goals, and hashes of the products.

    Raises:
        DataError: a file is no longer there, or cannot be read.
    """
    if shop.data is None:
        return {"arguments": {}, "tasks": dict(shop.tasks), "catalogue": _hash_inventory(shop.inventory)}
    return {"arguments": {"data": str(shop.data)}, "tasks": dict(shop.tasks), "catalogue": _hash_files(shop.data)}


def _hash_inventory(inventory: Inventory) -> str:
    """Returns the SHA-256 of the embedded catalogue, which other versions of this package may generate differently."""
    digest = sha256(f"{inventory.page_size}\n".encode())
    for asin, product in inventory.products.items():
        digest.update(f"{inventory.splits[asin]} {pack_product(product)}\n".encode())
    return digest.hexdigest()


def _hash_files(directory: Path) -> dict[str, JSON]:
    """Returns size and hash of each of the original's files, by its content; its name and the index do not matter.

    An index keeps the same of the files that it was made from. The hash is of the whole file up to 16 MB, and of parts
    of a larger one, so that the full catalogue takes no longer than a small one.
    """
    return {name: hash_source(file) for name, file in locate(directory).items()}
