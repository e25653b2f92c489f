"""The bytes of a text file become records of cells: which encoding, which delimiter, which quotes.

Text files come in UTF-8 (with or without mark), UTF-16 with mark, GB18030 (which contains GBK) or
Big5. Decoding is strict: a file that needs one replacement character is refused. Nearly every byte
string is legal GB18030, and much of it legal Big5 too, so between those two the text decides:

    measure = share of the non-ASCII characters that are common
    common  = first level of GB 2312 (3,755 characters) or of Big5 (5,401), and their punctuation

The higher measure wins; on a tie the share of `FREQUENT` characters decides, then GB18030. A margin
below `CLOSE` is weak ground, which the reader tells; the caller can always name the encoding.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Final

from ledger.errors import Invalid
from ledger.tables.file_kinds import BOM_16, Limits, refuse_size

# ---------------------------------------------------------------- encodings

ENCODINGS: Final = {
    "utf8": "utf-8", "utf-8": "utf-8", "utf-8-sig": "utf-8", "utf-16": "utf-16",
    "gbk": "gb18030", "gb2312": "gb18030", "gb18030": "gb18030", "cp936": "gb18030",
    "big5": "big5", "big5-hkscs": "big5hkscs", "big5hkscs": "big5hkscs", "cp950": "cp950",
}  # fmt: skip
CLOSE: Final = Decimal("0.05")
FREQUENT: Final = frozenset(
    "的一是不在有人我他这這个個们們中来來上大为為和国國地到以说說时時要就出会會可也你对對生能而子那得于於着著下"
    "自之年过過发發后後作里裡用道行所然家种種事成方多经經么麼去法学學如都同现現当當没沒动動面起看定天分还還进進"
    "好小部其些主样樣理心本前开開但因只从從想实實日军軍者意无無力它与與长長把机機十民第公此已工使情明性知全三又"
    "关關点點正业業外将將两兩高间間由问問很最重并並物手应應战戰向头頭文体體政美相见見被利什二等产產或新己制身果"
    "加西斯月话話合回特代内內信表化老给給世位次度门門任常先海通教儿兒原东東声聲提立及比员員解水名真论論处處走义"
    "義各入几幾口认認条條平系系气氣题題活尔爾更别別打女变變四神总總何电電数數安少报報才结結反受目太量再感建务務"
    "做接必场場件计計管期市直德资資命山金指克许許统統区區保至队隊形社便空决決治展马馬科司五基眼书書非则則听聽白"
    "却卻界达達光放强強即像难難且权權思王象完设設式色路记記南品住告类類求据據程北边邊死张張该該交规規万萬取拉格"
    "望觉覺术術领領共确確传傳师師观觀清今切院让讓识識候带帶导導争爭运運省县縣镇鎮乡鄉村街城码碼编編号號称稱桃园園"
    "机關機提供更新频頻率档檔案格欄栏位连連网網址描述备備注註费費"
)


def decode(data: bytes, name: str, given: str | None = None) -> tuple[str, str, Decimal]:
    """(text, codec, margin) of a whole file, in the encoding given or found; raises Invalid."""
    if given is None:
        codec, margin = detect_encoding(data, name)
    else:
        codec, margin = named_encoding(given, name), Decimal(1)
        if codec == "utf-8" and data.startswith(codecs.BOM_UTF8):
            codec = "utf-8-sig"
    try:
        return data.decode(codec), codec, margin
    except UnicodeDecodeError as error:
        raise Invalid(
            "Line {line} of {name} is not legal {encoding}; check the encoding.",
            name=name, encoding=codec, line=_line(data, error), offset=error.start,
        ) from error  # fmt: skip


def named_encoding(given: str, name: str) -> str:
    """Python's codec for an encoding that a person named; Invalid for one we do not take."""
    codec = ENCODINGS.get(given.strip().lower().replace("_", "-"))
    if codec is None:
        raise Invalid(
            "Encoding {encoding} is not taken; known: {known}.",
            name=name, encoding=given, known=", ".join(sorted(ENCODINGS)),
        )  # fmt: skip
    return codec


def detect_encoding(data: bytes, name: str = "文件") -> tuple[str, Decimal]:
    """(codec, margin) of a whole text file; margin is 1 when nothing else was possible.

    The codec is "utf-8", "utf-8-sig", "utf-16", "gb18030", "big5", "cp950" or "big5hkscs"; a mark
    at the beginning is taken at its word. Raises Invalid when none decodes the file throughout, or
    when it is UTF-8 but for a few bytes.
    """
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig", Decimal(1)
    if data.startswith(BOM_16):
        return "utf-16", Decimal(1)
    try:
        data.decode("utf-8")
        return "utf-8", Decimal(1)
    except UnicodeDecodeError as error:
        _refuse_damaged_utf8(data, error, name)
    candidates = []
    for family in (("gb18030",), ("big5", "cp950", "big5hkscs")):
        for codec in family:
            try:
                candidates.append((*measure(data.decode(codec)), codec))
                break
            except UnicodeDecodeError:
                continue
    if not candidates:
        raise Invalid(
            "The encoding of {name} is none of UTF-8, GB18030, Big5, or the file is damaged;"
            " save it as UTF-8.",
            name=name,
        )
    best = max(candidates, key=lambda found: found[:2])
    margin = min((best[0] - other[0] for other in candidates if other is not best), default=1)
    return best[2], Decimal(margin)


def _refuse_damaged_utf8(data: bytes, error: UnicodeDecodeError, name: str) -> None:
    """GB18030 reads almost anything, so nearly-UTF-8 must be refused before it is asked."""
    kept = data.decode("utf-8", "ignore").encode()
    wide = len(data.translate(None, bytes(range(128))))
    lost = len(data) - len(kept)
    if wide and lost * 20 <= wide - lost:
        cut = error.end == len(data) and error.reason == "unexpected end of data"
        raise Invalid(
            "{name} is UTF-8 but ends in the middle of a character; export it again."
            if cut
            else "{name} is UTF-8 but has an illegal byte in line {line}; export it again.",
            name=name, line=_line(data, error), offset=error.start,
        )  # fmt: skip


def _line(data: bytes, error: UnicodeDecodeError) -> int:
    return data.count(b"\n", 0, error.start) + 1


@cache
def common_characters() -> frozenset[str]:
    """The first levels of GB 2312 and of Big5 with their punctuation, from Python's own codecs."""
    found: set[str] = set()
    for codec, leads, trails in (
        ("gb2312", (*range(0xB0, 0xD8), 0xA1, 0xA3), range(0xA1, 0xFF)),
        ("big5", (*range(0xA4, 0xC7), 0xA1, 0xA2), (*range(0x40, 0x7F), *range(0xA1, 0xFF))),
    ):
        for lead in leads:
            for trail in trails:
                found.update(bytes((lead, trail)).decode(codec, "ignore"))
    return frozenset(found)


def measure(text: str) -> tuple[Decimal, Decimal]:
    """(share of common, share of frequent) characters among the non-ASCII ones; (1, 1) without any.

    >>> measure("更新频率")[0], measure("abc")
    (Decimal('1'), (Decimal('1'), Decimal('1')))
    """
    counts = {char: n for char, n in Counter(text).items() if not char.isascii()}
    total = sum(counts.values())
    if not total:
        return Decimal(1), Decimal(1)
    common = common_characters()
    return (
        Decimal(sum(n for char, n in counts.items() if char in common)) / total,
        Decimal(sum(n for char, n in counts.items() if char in FREQUENT)) / total,
    )


# ---------------------------------------------------------------- records

BAD_CSV: Final = (
    "{name} is not legal CSV near line {line}: a quotation mark is not closed or out of place;"
    " export it again."
)


def guess_delimiter(text: str) -> str:
    """The delimiter that stands most often outside quotes in the first line with content.

    >>> guess_delimiter('a\\tb,c\\td'), guess_delimiter('one'), guess_delimiter('"a;b",c')
    ('\\t', ',', ',')
    """
    line = next((line for line in text[:100_000].splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", line)
    return max(",\t;|", key=bare.count)


def records(text: str, delimiter: str, name: str, limits: Limits) -> Iterator[list[str]]:
    """The records of a delimited text, cells cleaned; raises Invalid where its quotes are wrong."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for record in reader:
            yield [clean(cell) for cell in record]
    except csv.Error as error:
        if "field larger" in str(error):
            refuse_size(name, "cell_chars", limits.cell_chars, row=reader.line_num)
        raise Invalid(BAD_CSV, name=name, line=reader.line_num) from error


_SPACES: Final = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u3000\u2002\u2003\u2007\u2009\u202f", " "),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", None),
        **{chr(code): None for code in range(32) if chr(code) not in "\t\n\r"},
        "\x7f": None,
    }
)


def clean(text: str) -> str:
    """The text without blanks at its ends; full-width and no-break spaces become plain ones.

    Invisible and control characters go, line ends inside a cell become a line feed.

    >>> clean('\\u3000桃園市\\xa0政府 \\r\\n')
    '桃園市 政府'
    """
    if text.isprintable():  # what is changed here is not printable; most cells are
        return text.strip()
    return text.translate(_SPACES).replace("\r\n", "\n").replace("\r", "\n").strip()
