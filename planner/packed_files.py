"""Files that are given where text is expected, named by their first bytes, and what to do with them."""

from __future__ import annotations

from planner.errors import PlannerError

WORKBOOK_PARTS = (b"xl/", b"[Content_Types].xml", b"docProps/")
KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive", "unpack it, and name the file inside"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it: gunzip FILE"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it: unzstd FILE"),
    (b"BZh", "compressed with bzip2", "unpack it: bunzip2 FILE"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it: unxz FILE"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "save the sheet as CSV UTF-8"),
    (b"PAR1", "a Parquet file", "write it as CSV"),
    (b"%PDF", "a PDF document", "give the table or text in it as a text file"),
    (b"\xff\xfe\x00\x00", "text in UTF-32", "save the file as UTF-8"),
    (b"\x00\x00\xfe\xff", "text in UTF-32", "save the file as UTF-8"),
    (b"\xff\xfe", "text in UTF-16", "save the file as UTF-8"),
    (b"\xfe\xff", "text in UTF-16", "save the file as UTF-8"),
)


def not_text(what: str, data: bytes, where: str, error: type[PlannerError]) -> PlannerError:
    """The error for ``data`` that is no UTF-8 text: what the file is instead, else the byte that is not.

    ``what``: the file's part in the command, such as "the trace".
    """
    for magic, kind, action in KINDS:
        if data.startswith(magic):
            if magic == b"PK\x03\x04" and any(part in data[:4096] for part in WORKBOOK_PARTS):
                kind, action = "an Excel workbook", "save the sheet as CSV UTF-8"
            return error(f"{what} is not UTF-8 text", where=where, found=kind, action=action)
    line, found = "", None
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as problem:
        line = f":{data.count(bytes([10]), 0, problem.start) + 1}"
        found = f"byte 0x{data[problem.start]:02x}"
    return error(
        f"{what} is not UTF-8 text",
        where=where + line,
        found=found,
        action="save the file as UTF-8",
    )
