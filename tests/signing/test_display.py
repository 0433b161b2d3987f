"""What a signature shows: places of NĐ 30/2020/NĐ-CP, Vietnamese letters, and what poppler makes of it."""

import datetime
import io
import re
from pathlib import Path

import pytest
from command import call, refused, vanthu, vanthu_json
from judges import pdfsig, pyhanko
from pyhanko.pdf_utils.reader import PdfFileReader
from sheets import page_objects, png, table

FONT = Path("/usr/share/fonts/truetype/liberation2/LiberationSerif-Regular.ttf")
MM = 72 / 25.4
FACES = {"composed": (), "embedded": ("--font", FONT)}
# Every small letter with every mark, and the capitals that have marks.
LETTERS = "Ủy ban nhân dân xã Đắk Ơ, tỉnh Quảng Ngãi; ằắẳẵặ ầấẩẫậ ềếểễệ ìíỉĩị ồốổỗộ ờớởỡợ ừứửữự ỳýỷỹỵ ĂÂĐÊÔƠƯ ỄỔẪ"


def rectangle(path, index):
    reader = PdfFileReader(io.BytesIO(path.read_bytes()))
    field = reader.embedded_regular_signatures[index].sig_field
    return [float(side) for side in field["/Rect"]]


class Picture:
    """A page as poppler draws it, one pixel for each point."""

    def __init__(self, path, page=1):
        out = call("pdftoppm", "-cropbox", "-r", "72", "-f", page, "-l", page, path).stdout
        head = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", out)
        self.width, self.height = int(head[1]), int(head[2])
        self.pixels = out[head.end() :]

    def ink(self, is_ink):
        """The box of all pixels of a kind: left, bottom, right, top in points; none if there is none."""
        found = []
        for y in range(self.height):
            for x in range(self.width):
                at = 3 * (y * self.width + x)
                if is_ink(*self.pixels[at : at + 3]):
                    found.append((x, self.height - y))
        if not found:
            return None
        xs, ys = zip(*found)
        return min(xs), min(ys), max(xs), max(ys)


def red(r, g, b):
    return r > 150 and g < 100 and b < 100


def blue(r, g, b):
    return b > 150 and r < 100 and g < 100


def dark(r, g, b):
    return r + g + b < 300


def near(found, wanted, off=2):
    return all(abs(one - other) <= off for one, other in zip(found, wanted))


@pytest.mark.parametrize("page", ["", "/Rotate 90", "/Rotate 180", "/Rotate 270", "/CropBox [20 30 575 812]"])
def test_the_seal_covers_the_left_third_of_the_signature(pki, images, tmp_path, page):
    path, once, twice = (tmp_path / f"{step}.pdf" for step in ("plain", "once", "twice"))
    path.write_bytes(table(page_objects(page=page)))
    person = ("--show", "person", "--image", images["name"], "--place", "90,50,80,24")
    vanthu_json("sign", path, *pki.signer("officers/H49.151").options, *person, "-o", once)
    seal = ("--show", "seal", "--image", images["seal"])
    vanthu_json("sign", once, *pki.signer("seals/H49.151").options, *seal, "-o", twice)
    pki.passes(twice, 2)
    pyhanko(pki, twice.read_bytes())
    assert pdfsig(twice) == (2, 2)
    # As a reader sees it: 80 × 24 mm, the signature in the middle of it, the seal 36 mm wide.
    drawn = Picture(twice)
    left, width, height = 90 * MM, 80 * MM, 24 * MM
    middle = 50 * MM + height / 2
    assert near(drawn.ink(blue)[::2], (left, left + width), 4), drawn.ink(blue)
    right, size = left + width / 3, 36 * MM
    # The outer ring reaches 98 % of the image.
    ring = size / 2 * 0.98
    wanted = (right - size / 2 - ring, middle - ring, right - size / 2 + ring, middle + ring)
    assert near(drawn.ink(red), wanted), (drawn.ink(red), wanted)
    if not page:
        place = rectangle(twice, 1)
        assert near(place, (right - size, middle - size / 2, right, middle + size / 2), 0.1)


def text_of(path):
    return call("pdftotext", "-layout", path, "-").out


@pytest.mark.parametrize("face", FACES)
def test_an_annex_shows_number_and_time_in_the_upper_right_corner(pki, letter, tmp_path, face):
    out = tmp_path / "annex.pdf"
    shown = ("--show", "annex", "--number", "12/QĐ-UBND", *FACES[face])
    told = vanthu_json("sign", letter, *pki.signer("seals/H49.151").options, *shown, "-o", out)
    pki.passes(out, 1)
    pyhanko(pki, out.read_bytes())
    time = datetime.datetime.fromisoformat(told["signing_time"]) + datetime.timedelta(hours=7)
    text = text_of(out)
    assert "Số: 12/QĐ-UBND" in text, text
    assert f"Thời gian ký: {time:%d/%m/%Y %H:%M:%S} +07:00" in text, text
    # 15 mm from the right edge, 4 mm from the upper one, in black.
    left, bottom, right, top = Picture(out).ink(dark)
    assert near((right, top), (595 - 15 * MM - 2, 842 - 4 * MM - 2), 4)
    [kind] = [line for line in call("pdffonts", out).out.splitlines() if "Times-Roman" in line or "Liberation" in line]
    if face == "embedded":
        assert re.search(r"^[A-Z]{6}\+LiberationSerif +CID TrueType +Identity-H +yes yes yes", kind), kind
    else:
        assert re.search(r"^Times-Roman +Type 1 +Custom +no  no  no", kind), kind


@pytest.mark.parametrize("face", FACES)
def test_a_copy_shows_form_agency_and_time_with_every_vietnamese_letter(pki, letter, tmp_path, face):
    out = tmp_path / "copy.pdf"
    shown = ("--show", "copy", "--agency", LETTERS, "--copy-form", "SAO LỤC", *FACES[face])
    vanthu_json("sign", letter, *pki.signer("seals/H49.151").options, *shown, "-o", out)
    pki.passes(out, 1)
    text = text_of(out)
    assert "SAO LỤC" in text and LETTERS in text, text


def test_a_font_gives_only_the_letters_that_are_shown(pki, letter, tmp_path):
    out = tmp_path / "copy.pdf"
    shown = ("--show", "copy", "--agency", "Sở Nội vụ", "--font", FONT)
    vanthu_json("sign", letter, *pki.signer("seals/H49").options, *shown, "-o", out)
    assert out.stat().st_size - letter.stat().st_size < 40_000 < FONT.stat().st_size


def test_an_invisible_signature_shows_nothing(pki, letter, tmp_path):
    out = tmp_path / "out.pdf"
    vanthu_json("sign", letter, *pki.signer("seals/H49").options, "-o", out)
    assert rectangle(out, 0) == [0, 0, 0, 0]
    assert Picture(out).pixels == Picture(letter).pixels


def test_the_person_signs_on_the_last_page_or_the_one_named(pki, images, tmp_path):
    objects = page_objects()
    objects[2] = b"<< /Type /Pages /Kids [3 0 R 6 0 R] /Count 2 /MediaBox [0 0 595 842] >>"
    objects[6] = b"<< /Type /Page /Parent 2 0 R /Resources << >> >>"
    path = tmp_path / "two.pdf"
    path.write_bytes(table(objects))
    seal, out = pki.signer("officers/H49.151"), tmp_path / "out.pdf"
    shown = ("--show", "person", "--image", images["name"])
    for more, pages in (((), (False, True)), (("--page", "1"), (True, False))):
        vanthu_json("sign", path, *seal.options, *shown, *more, "-o", out)
        assert tuple(Picture(out, page).ink(blue) is not None for page in (1, 2)) == pages
    message = "the PDF cannot be signed: it has no such page"
    for page in ("0", "3"):
        refused(1, message, path, *seal.options, *shown, "--page", page, "-o", tmp_path / "none.pdf")


def test_what_cannot_be_shown_is_refused(pki, letter, images, tmp_path):
    seal, out = pki.signer("seals/H49").options, tmp_path / "out.pdf"
    strange = tmp_path / "strange"
    strange.write_bytes(b"strange")
    large = tmp_path / "large.png"
    header = bytearray(png(1, 1, lambda x, y: (0, 0, 0, 0)))
    header[16:24] = b"\x00\x01\x00\x00" * 2
    large.write_bytes(header)
    person, copy = ("--show", "person", "--image"), ("--show", "copy", "--agency")
    for message, *options in (
        ("there is no image to show", "--show", "person"),
        ("there is no number to show", "--show", "annex"),
        ("there is no agency to show", "--show", "copy"),
        ("the image is no PNG", *person, strange),
        ("the image is no PNG", *person, large),
        (f"{strange}-not: No such file or directory (os error 2)", *person, f"{strange}-not"),
        ("the font is no TrueType font", *copy, "x", "--font", strange),
        ("the font has no letter “漢”", *copy, "漢字", "--font", FONT),
        ("the lines do not fit on the page", *copy, "rất dài " * 40),
        ("a seal is between 5 and 100 mm wide", "--show", "seal", "--image", images["seal"], "--diameter", "300"),
        (
            "the PDF cannot be signed: it shows no signature for the seal to cover a third of",
            "--show", "seal", "--image", images["seal"],
        ),
    ):  # fmt: skip
        refused(1, message, letter, *seal, *options, "-o", out)
    assert not out.exists()


@pytest.mark.parametrize("page", ["", "/Rotate 90", "/CropBox [20 30 317 450]"])
def test_what_would_stand_outside_of_a_small_page_is_refused(pki, images, tmp_path, page):
    """A5 and smaller: the usual place of a person's signature is for A4."""
    path, out = tmp_path / "small.pdf", tmp_path / "out.pdf"
    path.write_bytes(table(page_objects(page=f"/MediaBox [0 0 420 595] {page}")))
    width, height = {"": (148, 210), "/Rotate 90": (210, 148)}.get(page, (105, 148))
    person = ("--show", "person", "--image", images["name"], "-o", out)
    options = (path, *pki.signer("officers/H49.151").options, *person)
    message = f"the signature would stand outside of its page, which is {width} mm wide and {height} mm high"
    for place in ("130,60,80,25", "20,200,60,20"):
        if place.startswith("130") and width == 210:
            continue
        done = refused(1, message, *options, "--place", place)
        assert "--place LEFT,BOTTOM,WIDTH,HEIGHT" in done.err
    assert not out.exists()
    vanthu_json("sign", *options, "--place", "10,20,80,25")
    pki.passes(out, 1)


def test_an_image_without_transparency_is_taken_with_a_warning(pki, letter, tmp_path):
    path = tmp_path / "opaque.png"
    path.write_bytes(png(30, 10, lambda x, y: (255, 255, 255, 255)))
    done = vanthu(
        "sign", letter, *pki.signer("seals/H49").options, "--show", "person", "--image", path, "-o", tmp_path / "o.pdf"
    )
    assert "vanthu: warning: the image has no transparent background" in done.err
