"""Unpacks the entries of a ZIP that holds nothing but them.

Tools disagree about a ZIP with gaps, overlaps or headers that contradict its directory: each may see other files in it.
Here every byte before the directory belongs to one entry, so that all who look at a bundle see the same.
"""

from __future__ import annotations

import struct
import zipfile
import zlib

from umbel.errors import BundleInvalid

_LOCAL = struct.Struct("<4s5H3I2H")
_END = struct.Struct("<4s4H2IH")
_UTF8 = 0x800


def unzip(data: bytes, archive: zipfile.ZipFile) -> dict[str, bytes]:
    """The content of each entry of the `archive` that `data` is, by name, in their order.

    An entry is never unpacked beyond the size that it declares. Raises BundleInvalid if the entries do not fill the
    space before the directory one after another, or if one is not what the directory says.
    """
    contents: dict[str, bytes] = {}
    position = 0
    for info in archive.infolist():
        if info.header_offset != position:
            raise BundleInvalid(f"The bundle is damaged: the entry `{info.filename}` is not next to the one before it.")
        start = _content_start(data, info)
        position = start + info.compress_size
        contents[info.filename] = _inflate(data[start:position], info)
    _check_end(data, position)
    return contents


def _content_start(data: bytes, info: zipfile.ZipInfo) -> int:
    """Where the entry's content begins, behind a header that says what the directory says."""
    signature, _, flags, method, _, _, *sums_and_lengths = _LOCAL.unpack_from(data, info.header_offset)
    name = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")
    start = info.header_offset + _LOCAL.size + len(name)
    said = (signature, flags, method, *sums_and_lengths, data[start - len(name) : start])
    wanted = (
        b"PK\x03\x04",
        info.flag_bits,
        info.compress_type,
        info.CRC,
        info.compress_size,
        info.file_size,
        len(name),
        0,
    )
    if said != (*wanted, name):
        raise BundleInvalid(f"The bundle is damaged: directory and header of the entry `{info.filename}` differ.")
    return start


def _inflate(packed: bytes, info: zipfile.ZipInfo) -> bytes:
    content, whole = packed, True
    if info.compress_type == zipfile.ZIP_DEFLATED:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        content = inflater.decompress(packed, info.file_size + 1)
        whole = inflater.eof and not inflater.unused_data
    if not whole or len(content) != info.file_size:
        raise BundleInvalid(f"The bundle is damaged: the entry `{info.filename}` does not have the size it declares.")
    if zlib.crc32(content) != info.CRC:
        raise BundleInvalid(f"The bundle is damaged: the entry `{info.filename}` does not have its checksum.")
    return content


def _check_end(data: bytes, directory: int) -> None:
    """The directory follows the last entry, and the end record, without a comment, follows the directory."""
    signature, *_, size, start, comment = _END.unpack_from(data, len(data) - _END.size)
    if (signature, start, start + size, comment) != (b"PK\x05\x06", directory, len(data) - _END.size, 0):
        raise BundleInvalid("The bundle is damaged: it holds bytes that belong to none of its entries.")
