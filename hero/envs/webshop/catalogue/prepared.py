"""The prepared form of the original's files: an index beside them that opens at once and is shared by all processes."""

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

from hero.envs.webshop.catalogue.files import RawCatalogue, document, each_product, locate, stream_directory
from hero.envs.webshop.goals.packed import GoalTable, Tabulator
from hero.envs.webshop.products.packed import Products, packed
from hero.envs.webshop.search.index import Index
from hero.envs.webshop.search.postings import Builder, Postings
from hero.envs.webshop.storage import array_dir
from hero.envs.webshop.storage.json_stream import Advance
from hero.envs.webshop.storage.string_array import Strings, encode
from hero.errors import DataError

INDEX: Final = "hero_index"
"""Name of the index in the directory of the files."""
Report = Callable[[str, int, int], None]
"""Told how far a phase of the preparation is: its name, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What an index holds."""

    products: Products
    index: Index
    goals: GoalTable


def open_index(directory: Path) -> Prepared | None:
    """The index in a directory of the original's files; None where there is none.

    Raises:
        DataError: it was not made from these files as they are now, or by another version, or it is damaged.
    """
    if not os.path.lexists(directory / INDEX):
        return None
    remedy = f"run: hero data webshop --from {directory}"
    found = array_dir.read(directory / INDEX, locate(directory), remedy)
    with array_dir.complete(directory / INDEX, remedy):
        return Prepared(
            products=Products(_strings(found, "records"), _strings(found, "asins"), found["places"]),
            index=Index(Postings(**_parts(found, Postings, "postings"))),
            goals=GoalTable(**_parts(found, GoalTable, "goals")),
        )


def prepare(directory: Path, report: Report) -> None:
    """Writes the index of the original's files in a directory, in place of one that may be there.

    Reads the products in passing, and keeps no more of them than the index needs. What fails or is interrupted leaves
    no index, and an older one as it was.

    Raises:
        DataError: a file is missing or malformed; the message names file and record. Or the index cannot be written.
    """
    files = locate(directory)
    sources = {name: array_dir.source(file) for name, file in files.items()}
    with array_dir.written(directory / INDEX) as writer, ExitStack() as stack:
        asins: list[str] = []
        starts = array("q", [0])
        builder, tabulator = Builder(), Tabulator()
        raw = stream_directory(directory, {name: _bytes(report, name, files[name]) for name in files}, stack)
        records = _records(raw, builder, tabulator, asins, starts)
        del raw  # so that its memory is free as soon as the last product has been read
        writer.put_parts("records.content", records, np.uint8, (-1,))
        writer.put("records.starts", np.array(starts, np.int64))
        report("index", 0, 1)
        places = np.array(sorted(range(len(asins)), key=asins.__getitem__), np.int32)
        _put_strings(writer, "asins", Strings.of(asins[place] for place in places.tolist()))
        writer.put("places", places)
        _put(writer, "postings", builder.finish())
        report("index", 1, 1)
        report("goals", 0, 1)
        _put(writer, "goals", tabulator.finish())
        writer.finish(sources)
        report("goals", 1, 1)


def _records(
    raw: RawCatalogue, builder: Builder, tabulator: Tabulator, asins: list[str], starts: array[int]
) -> Iterator[bytes]:
    """The record of each product, which the others are told of in passing."""
    for item in each_product(raw):
        try:
            builder.add(item.asin, document(item))
            tabulator.add(item)
        except DataError as error:
            raise DataError(f"{raw.where('items')}, {error}") from error
        asins.append(item.asin)
        record = encode(packed(item))
        starts.append(starts[-1] + len(record))
        yield record


def _bytes(report: Report, name: str, file: Path) -> Advance:
    """Reports the bytes of a file that were read."""
    done, size = 0, file.stat().st_size

    def advance(read: int) -> None:
        nonlocal done
        done += read
        report(name, done, size)

    return advance


def _put(writer: array_dir.Writer, prefix: str, value: Postings | GoalTable) -> None:
    for part in fields(value):
        content = getattr(value, part.name)
        if isinstance(content, Strings):
            _put_strings(writer, f"{prefix}.{part.name}", content)
        else:
            writer.put(f"{prefix}.{part.name}", content)


def _put_strings(writer: array_dir.Writer, name: str, texts: Strings) -> None:
    writer.put(f"{name}.content", texts.content)
    writer.put(f"{name}.starts", texts.starts)


def _parts(found: dict[str, NDArray[Any]], kind: type[Postings] | type[GoalTable], prefix: str) -> dict[str, Any]:
    names = [f"{prefix}.{part.name}" for part in fields(kind)]
    return {name.rpartition(".")[2]: found[name] if name in found else _strings(found, name) for name in names}


def _strings(found: dict[str, NDArray[Any]], name: str) -> Strings:
    return Strings(found[f"{name}.content"], found[f"{name}.starts"])
