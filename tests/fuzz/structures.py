"""Damage that keeps a file readable: other numbers, types, names, shapes, columns.

Bytes that are flipped mostly make a file that no reader takes; what gets past readers is content
that is whole and wrong.
"""

from __future__ import annotations

import io
import json
import random
import struct
import tomllib
from collections.abc import Callable
from typing import Any

import numpy as np
import tomli_w
from mutate import LENGTHS, mutated

STRANGE: tuple[Any, ...] = (*LENGTHS, 10**9, 10**12, 3, 5, 6, 16, 17, 4096, 8192, 100_000)
STRANGE += (0.5, -0.5, 1e-300, 1e30, 1e300, float("nan"), float("inf"), -float("inf"), True, False)
STRANGE += ("", "x", "\0", "../../etc", "é" * 300, [], {}, [[]], [1], [0, "a"], {"a": {}})


def changed(name: str, content: bytes, seed: int) -> bytes:
    """A file of that name with one to three such changes; as bytes where it can't be read."""
    draw = random.Random(f"{name} {seed}")
    ending = name.rpartition(".")[2]
    try:
        return _BY_ENDING[ending](content, draw)
    except Exception:  # not to be written so: NaN in an old type, numbers too large …
        return mutated(content, seed)


def _toml(content: bytes, draw: random.Random) -> bytes:
    tree = tomllib.loads(content.decode())
    return tomli_w.dumps(_shaken(tree, draw)).encode()


def _json(content: bytes, draw: random.Random) -> bytes:
    return json.dumps(_shaken(json.loads(content), draw)).encode()


def _jsonl(content: bytes, draw: random.Random) -> bytes:
    lines = content.decode().splitlines()
    at = draw.randrange(len(lines))
    lines[at] = json.dumps(_shaken(json.loads(lines[at]), draw))
    if draw.random() < 0.2:
        lines.insert(draw.randrange(len(lines)), draw.choice(lines))
    return ("\n".join(lines) + "\n").encode()


def _shaken(tree: Any, draw: random.Random) -> Any:
    held = [tree]
    for _ in range(draw.choice((1, 1, 2, 3))):
        places = [*_places(held)][1:] or [(held, 0)]
        where, key = draw.choice(places)
        how, value = draw.randrange(6), where[key]
        if how == 0 and where is not held:
            del where[key]
        elif how == 1 and isinstance(value, list) and value:
            where[key] = value[: len(value) // 2] if draw.random() < 0.5 else value * 3
        elif how == 2 and type(value) in (int, float):
            where[key] = value + draw.choice((-1, 1, 2, 16, -16))
        elif how == 3 and type(value) in (int, float):
            where[key] = value * draw.choice((-1, 2, 100, 10**6))
        elif how == 4:
            where[key] = _copy(draw.choice([at[name] for at, name in places]))
        else:
            where[key] = _copy(draw.choice(STRANGE))
    return held[0]


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(each) for name, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value


def _places(tree: Any) -> Any:
    """(container, key) of all there is."""
    keys = tree if isinstance(tree, dict) else range(len(tree))
    for key in list(keys):
        yield tree, key
        if isinstance(tree[key], (dict, list)):
            yield from _places(tree[key])


def _safetensors(content: bytes, draw: random.Random) -> bytes:
    from safetensors.numpy import load, save

    if draw.random() < 0.25:
        return _header(content, draw)
    arrays = load(content)
    for _ in range(draw.choice((1, 1, 2))):
        name = draw.choice(sorted(arrays))
        other, how = draw.choice(sorted(arrays)), draw.randrange(12)
        with np.errstate(all="ignore"):
            if how == 0:
                del arrays[name]
            elif how == 1:
                arrays[name], arrays[other] = arrays[other], arrays[name]
            elif how == 2:
                arrays[draw.choice(("x", "0.x", f"{name}.1", "9.mean", ""))] = arrays[name]
            else:
                arrays[name] = _array(arrays[name], how, draw)
        if not arrays:
            break
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


_KINDS = (np.float16, np.float32, np.float64, np.int8, np.uint8, np.int16, np.int64, np.uint64)


def _array(array: Any, how: int, draw: random.Random) -> Any:
    if how == 3 and array.ndim:  # shorter or longer, along any axis
        axis = draw.randrange(array.ndim)
        count = draw.choice((0, 1, 2, array.shape[axis] - 1, array.shape[axis] + 1, 37))
        return np.take(array, np.arange(max(count, 0)) % max(array.shape[axis], 1), axis)
    if how == 4:
        return array.T if draw.random() < 0.5 else array.ravel()
    if how == 5:
        return array[None] if draw.random() < 0.5 else array[..., None]
    if how == 6:
        return array.astype(draw.choice((*_KINDS, np.bool_)))
    if how == 7:
        return np.zeros_like(array)
    if how == 8:
        return array * draw.choice((-1, 2, 1000, array.dtype.type(100)))
    if how == 9:
        shape = draw.choice(((), (0,), (0, 0), (1,), (1, 1), array.shape[:1]))
        return np.ones(shape, array.dtype)
    out = array.copy()
    if out.size:
        extreme = (0, 1, -1, 127, 3e38, 1e300, np.nan, np.inf, -np.inf, 2**31 - 1, 2**62, -(2**62))
        count = draw.choice((1, 3, out.size))
        at = draw.sample(range(out.size), min(count, out.size))
        out.ravel()[at] = np.asarray(draw.choice(extreme)).astype(out.dtype)
    return out


def _header(content: bytes, draw: random.Random) -> bytes:
    """Types, shapes and offsets that are not those of the bytes."""
    (size,) = struct.unpack("<Q", content[:8])
    told = json.loads(content[8 : 8 + size])
    body = content[8 + size :]
    facts = told[draw.choice([name for name in told if name != "__metadata__"])]
    how = draw.randrange(5)
    if how == 0 and facts["shape"]:
        facts["shape"][draw.randrange(len(facts["shape"]))] = draw.choice(LENGTHS)
    elif how == 1:
        facts["shape"] = facts["shape"][::-1]
    elif how == 2:
        facts["dtype"] = draw.choice(("F64", "F16", "BF16", "I8", "U8", "BOOL", "F8_E4M3", "X"))
    elif how == 3:
        facts["data_offsets"][draw.randrange(2)] = draw.choice(LENGTHS)
    else:
        _shaken(told, draw)
    text = json.dumps(told).encode()
    return struct.pack("<Q", len(text)) + text + body


def _parquet(content: bytes, draw: random.Random) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    table = parquet.read_table(io.BytesIO(content))
    name = draw.choice(table.column_names)
    at, how = table.column_names.index(name), draw.randrange(8)
    if how == 0:
        table = table.drop_columns([name])
    elif how == 1:
        table = table.set_column(at, draw.choice(("x", *table.column_names)), table[name])
    elif how == 2:
        table = table.set_column(at, name, pa.nulls(len(table), table[name].type))
    elif how == 3:
        table = table.slice(draw.randrange(len(table)), draw.choice((0, 1, 5)))
    elif how == 4:
        table = pa.concat_tables([table] * draw.choice((2, 100)))
    elif how == 5:
        other = draw.choice((pa.string(), pa.int64(), pa.float32(), pa.binary()))
        made = [
            None if draw.random() < 0.1 else draw.choice((0, 1, 2**40)) for _ in range(len(table))
        ]
        table = table.set_column(at, name, pa.array(made).cast(other))
    elif how == 6:
        rows = [
            [draw.choice((0.0, 1.0, 1e4))] * draw.choice((0, 1, 3, 64)) for _ in range(len(table))
        ]
        table = table.set_column(at, name, pa.array(rows, pa.list_(pa.float32())))
    else:
        # Packed well: a small file of many rows.
        many = draw.choice((10**6, 10**8))
        column = pa.chunked_array([pa.nulls(10**6, table[name].type)] * (many // 10**6))
        table = pa.table({name: column})
    held = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata(table.schema.metadata), held)
    return held.getvalue()


_BY_ENDING: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "toml": _toml,
    "json": _json,
    "jsonl": _jsonl,
    "safetensors": _safetensors,
    "parquet": _parquet,
}
