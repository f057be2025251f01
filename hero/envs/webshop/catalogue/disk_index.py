"""The index of the original's files: arrays beside them that open at once and are shared by all processes."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hero.envs.webshop.catalogue.files import locate, stream_directory
from hero.envs.webshop.catalogue.parse import parse_products, search_text
from hero.envs.webshop.catalogue.raw import RawCatalogue
from hero.envs.webshop.goals.packed import GoalPacker, PackedGoals
from hero.envs.webshop.products.packed import PackedProducts, pack_product
from hero.envs.webshop.search.index import Index
from hero.envs.webshop.search.postings import Postings, PostingsBuilder
from hero.envs.webshop.storage.array_dir import ArrayWriter, open_arrays, replace_directory, reporting_damage
from hero.envs.webshop.storage.json_stream import Advance
from hero.envs.webshop.storage.sampled_hash import hash_source
from hero.envs.webshop.storage.string_array import StringArray, encode
from hero.errors import DataError

INDEX: Final = "hero_index"
"""Name of the index in the directory of the files."""
Report = Callable[[str, int, int], None]
"""Called with the name of a phase, the amount of it that is done, and the whole amount."""


@dataclass(frozen=True, slots=True)
class DiskIndex:
    """The contents of an index."""

    products: PackedProducts
    index: Index
    goals: PackedGoals


def open_index(directory: Path) -> DiskIndex | None:
    """Opens the index in a directory of the original's files; returns None where there is none.

    Raises:
        DataError: it was not made from these files as they are now, or by another version, or it is damaged.
    """
    if not os.path.lexists(directory / INDEX):
        return None
    remedy = f"run: hero data webshop --from {directory}"
    arrays = open_arrays(directory / INDEX, locate(directory), remedy)
    with reporting_damage(directory / INDEX, remedy):
        return DiskIndex(
            products=PackedProducts(_strings(arrays, "records"), _strings(arrays, "asins"), arrays["places"]),
            index=Index(Postings(**_parts(arrays, Postings, "postings"))),
            goals=PackedGoals(**_parts(arrays, PackedGoals, "goals")),
        )


def write_index(directory: Path, report: Report) -> None:
    """Writes the index of the original's files in a directory; it replaces an older one.

    Products are read one by one, and nothing is kept of them but what the index needs. A failure or an interruption
    leaves no index, and an older one unchanged.

    Raises:
        DataError: a file is missing or malformed, and the message names file and record; or the index cannot be
            written.
    """
    files = locate(directory)
    sources = {name: hash_source(file) for name, file in files.items()}
    with replace_directory(directory / INDEX) as writer, ExitStack() as stack:
        asins: list[str] = []
        starts = array("q", [0])
        postings, goals = PostingsBuilder(), GoalPacker()
        raw = stream_directory(directory, {name: _byte_counter(report, name, files[name]) for name in files}, stack)
        records = _records(raw, postings, goals, asins, starts)
        del raw  # so that its memory is free as soon as the last product has been read
        writer.put_parts("records.content", records, np.uint8, (-1,))
        writer.put("records.starts", np.array(starts, np.int64))
        report("index", 0, 1)
        positions = np.array(sorted(range(len(asins)), key=asins.__getitem__), np.int32)
        _put_strings(writer, "asins", StringArray.of(asins[position] for position in positions.tolist()))
        writer.put("places", positions)
        _put(writer, "postings", postings.finish())
        report("index", 1, 1)
        report("goals", 0, 1)
        _put(writer, "goals", goals.finish())
        writer.finish(sources)
        report("goals", 1, 1)


def _records(
    raw: RawCatalogue, postings: PostingsBuilder, goals: GoalPacker, asins: list[str], starts: array[int]
) -> Iterator[bytes]:
    """Yields the packed record of each product, and adds the product to everything else on the way."""
    for product in parse_products(raw):
        try:
            postings.add(product.asin, search_text(product))
            goals.add(product)
        except DataError as error:
            raise DataError(f"{raw.where('items')}, {error}") from error
        asins.append(product.asin)
        record = encode(pack_product(product))
        starts.append(starts[-1] + len(record))
        yield record


def _byte_counter(report: Report, name: str, file: Path) -> Advance:
    """Returns a callback that adds up the bytes read from a file and reports them."""
    done, size = 0, file.stat().st_size

    def advance(count: int) -> None:
        nonlocal done
        done += count
        report(name, done, size)

    return advance


def _put(writer: ArrayWriter, prefix: str, value: Postings | PackedGoals) -> None:
    for part in fields(value):
        content = getattr(value, part.name)
        if isinstance(content, StringArray):
            _put_strings(writer, f"{prefix}.{part.name}", content)
        else:
            writer.put(f"{prefix}.{part.name}", content)


def _put_strings(writer: ArrayWriter, name: str, strings: StringArray) -> None:
    writer.put(f"{name}.content", strings.content)
    writer.put(f"{name}.starts", strings.starts)


def _parts(arrays: dict[str, NDArray[Any]], kind: type[Postings] | type[PackedGoals], prefix: str) -> dict[str, Any]:
    names = [f"{prefix}.{part.name}" for part in fields(kind)]
    return {name.rpartition(".")[2]: arrays[name] if name in arrays else _strings(arrays, name) for name in names}


def _strings(arrays: dict[str, NDArray[Any]], name: str) -> StringArray:
    return StringArray(arrays[f"{name}.content"], arrays[f"{name}.starts"])
