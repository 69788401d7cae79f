"""Zips that nobody should believe, by what is wrong with them; none of them holds a run that may come in."""

import io
import json
import stat
import struct
import zipfile

ID = "20260101-000000-aaaa"
RECORD = json.dumps({"schema": 1, "kind": "pretrain", "state": "completed", "config": {}}).encode()
LINES = b"".join(b'{"step": %d, "train_loss": 1.5}\n' % step for step in range(400))


def packed(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, zip64: bool = False) -> bytes:
    """A zip of these entries."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as archive:
        for name, data in entries.items():
            with archive.open(name, "w", force_zip64=zip64) as entry:
                entry.write(data)
    return whole.getvalue()


def good(method: int = zipfile.ZIP_DEFLATED, zip64: bool = False) -> bytes:
    """A zip of one run that may come in."""
    return packed({f"{ID}/run.json": RECORD, f"{ID}/metrics.jsonl": LINES}, method, zip64)


def with_record(**values: object) -> bytes:
    """The same with other values in run.json."""
    return packed({f"{ID}/run.json": json.dumps({**json.loads(RECORD), **values}).encode()})


def patched(whole: bytes, signature: bytes, at: int, value: bytes, which: int = 0) -> bytes:
    """A zip with other bytes at a place of one of its headers."""
    data, place = bytearray(whole), -1
    for _ in range(which + 1):
        place = data.index(signature, place + 1)
    data[place + at : place + at + len(value)] = value
    return bytes(data)


def both(whole: bytes, central: int, local: int, value: bytes) -> bytes:
    """A zip with other bytes in both headers of its second entry."""
    return patched(patched(whole, CENTRAL, central, value, 1), LOCAL, local, value, 1)


def special(kind: int) -> bytes:
    """A zip with an entry that is a link or a device."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr(f"{ID}/run.json", RECORD)
        entry = zipfile.ZipInfo(f"{ID}/metrics.jsonl")
        entry.create_system, entry.external_attr = 3, (kind | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    return whole.getvalue()


def overlapping(copies: int) -> bytes:
    """A zip whose directory names the same packed megabyte many times, as zip bombs do."""
    big = packed({f"{ID}/run.json": RECORD, f"{ID}/00000000": bytes(2**20)})
    place = big.index(CENTRAL, big.index(CENTRAL) + 1)
    entry, end = big[place : big.index(END)], big[big.index(END) :]
    more = b"".join(entry.replace(b"00000000", b"%08d" % number) for number in range(1, copies))
    size, num = struct.unpack_from("<L", end, 12)[0] + len(more), struct.unpack_from("<H", end, 10)[0] + copies - 1
    return big[: -len(end)] + more + end[:8] + struct.pack("<HHL", num, num, size) + end[16:]


def many_entries(count: int) -> bytes:
    """A zip with so many empty entries, which share one header."""
    name = f"{ID}/run.json".encode()
    local = LOCAL + struct.pack("<5H3L2H", 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0) + name
    one = CENTRAL + struct.pack("<6H3L5H2L", 20, 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0) + name
    zip64 = b"PK\6\6" + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, count, count, len(one) * count, len(local))
    found = b"PK\6\7" + struct.pack("<LQL", 0, len(local) + len(one) * count, 1)
    return local + one * count + zip64 + found + END + b"\0\0\0\0" + b"\xff" * 12 + b"\0\0"


LOCAL, CENTRAL, END, END64 = b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6"
DEFLATED, STORED = good(), good(zipfile.ZIP_STORED)
_METRICS = STORED.index(LINES)
_PACKED = DEFLATED.index(b"metrics.jsonl") + len("metrics.jsonl")


def bad_zips() -> dict[str, bytes]:
    """Each with a short name."""
    lzma, bzip2, zip64 = good(zipfile.ZIP_LZMA), good(zipfile.ZIP_BZIP2), good(zip64=True)
    return {
        "empty": b"",
        "a beginning alone": DEFLATED[:40],
        "cut in the middle": DEFLATED[: len(DEFLATED) // 2],
        "cut in the directory": DEFLATED[:-30],
        "cut by one byte": DEFLATED[:-1],
        "no beginning": DEFLATED[60:],
        "a flipped bit of packed data": DEFLATED[: _PACKED + 9] + b"\xff\xff\xff" + DEFLATED[_PACKED + 12 :],
        "an impossible first block": DEFLATED[:_PACKED] + b"\x07" + DEFLATED[_PACKED + 1 :],
        "a flipped bit of stored data": STORED[: _METRICS + 9] + b"\xff" + STORED[_METRICS + 10 :],
        "zeros instead of packed data": DEFLATED[:_PACKED] + bytes(40) + DEFLATED[_PACKED + 40 :],
        "a wrong checksum": patched(DEFLATED, CENTRAL, 16, b"\1\2\3\4", 1),
        "lzma": lzma,
        "damaged lzma": patched(lzma, b"metrics.jsonl", 13, b"\xff" * 12),
        "lzma that wants 4 GiB": patched(lzma, b"metrics.jsonl", 18, b"\xff\xff\xff\xff"),
        "bzip2": bzip2,
        "damaged bzip2": patched(bzip2, b"BZh", 0, b"XX", 1),
        "an unknown compression": both(DEFLATED, 10, 8, b"\x63\0"),
        "stored that is called deflated": both(STORED, 10, 8, b"\x08\0"),
        "an encrypted entry": both(DEFLATED, 8, 6, b"\1\0"),
        "strongly encrypted": both(DEFLATED, 8, 6, b"\x41\0"),
        "patched data": both(DEFLATED, 8, 6, b"\x20\0"),
        "a name that is not UTF-8": patched(patched(DEFLATED, CENTRAL, 8, b"\0\x08", 1), b"metrics", 0, b"\xff", 1),
        "a version of the far future": patched(DEFLATED, CENTRAL, 6, b"\xff\0", 1),
        "a header beyond the end": patched(DEFLATED, CENTRAL, 42, b"\xff\xff\xff\x7f", 1),
        "a header that is none": patched(DEFLATED, CENTRAL, 42, b"\x07\0\0\0", 1),
        "a directory elsewhere": patched(packed({f"{ID}/run.json": RECORD}), END, 16, b"\xff\xff\0\0"),
        "a header in the last bytes": patched(DEFLATED, CENTRAL, 42, (len(DEFLATED) - 9).to_bytes(4, "little"), 1),
        "a size that is too large": both(STORED, 24, 22, b"\xff\xff\xff\0"),
        "a size that is too small": both(DEFLATED, 24, 22, b"\x09\0\0\0"),
        "zip64 that lies of its size": patched(packed({f"{ID}/run.json": RECORD}), CENTRAL, 24, b"\xff\xff\xff\xff"),
        "zip64 with a cut extra field": patched(zip64, LOCAL, 28, b"\xff\xff", 1),
        "zip64 with a directory of 2**60": patched(many_entries(2), END64, 40, struct.pack("<Q", 2**60)),
        "zip64 with a directory at 2**63": patched(many_entries(2), END64, 48, struct.pack("<Q", 2**63)),
        "a directory that is too long": patched(DEFLATED, END, 12, b"\xff\xff\xff\x7f"),
        "a million entries": many_entries(1_000_000),
        "twins": patched(packed({f"{ID}/run.json": RECORD, f"{ID}/ran.json": RECORD}), b"ran.json", 0, b"run.json", 1),
        "a file where a folder is": packed({f"{ID}/run.json": RECORD, f"{ID}/a": b"", f"{ID}/a/b": b""}),
        "a folder where a file is": packed({f"{ID}/run.json": RECORD, f"{ID}/a/b": b"", f"{ID}/a": b""}),
        "a name that is too long": packed({f"{ID}/run.json": RECORD, f"{ID}/{'n' * 300}": b""}),
        "a link": special(stat.S_IFLNK),
        "a pipe": special(stat.S_IFIFO),
        "a device": special(stat.S_IFCHR),
        "a name above": packed({f"{ID}/run.json": RECORD, f"{ID}/../../evil": b""}),
        "a name from the root": packed({f"{ID}/run.json": RECORD, "/tmp/evil": b""}),
        "a bomb": packed({f"{ID}/run.json": RECORD, f"{ID}/metrics.jsonl": bytes(200 * 2**20)}),
        "a bomb of overlapping entries": overlapping(900),
        "nothing but a folder": packed({f"{ID}/": b""}),
        "a record that is no JSON": packed({f"{ID}/run.json": b"\xff" + RECORD}),
        "a record without end": packed({f"{ID}/run.json": b'{"a":' * 100_000}),
        "a record of a long number": packed({f"{ID}/run.json": b'{"schema": ' + b"9" * 5000 + b"}"}),
        "a record that is too large": packed({f"{ID}/run.json": b'{"a": "' + bytes(range(48, 112)) * 2**18 + b'"}'}),
    }  # fmt: skip
