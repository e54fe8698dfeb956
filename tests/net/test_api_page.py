"""The files of the web page over HTTPS: whose they are, how long they are kept, and nothing else of the disk."""
import gzip

from api_kit import Door, house  # noqa: F401
from board import wait_for
from ssh_kit import HASH, House

INDEX = b"<!doctype html><title>oobd</title>"
SCRIPT = b"document.title = 'rack7';\n" * 40


def lay(folder):
    """A small page, with something beside it that is nobody's."""
    (folder / "page" / "assets").mkdir(parents=True)
    (folder / "secret.txt").write_text("nobody's")
    for name, text in {"index.html": INDEX, "assets/index-a1B2.js": SCRIPT, "assets/only.css": b"a{}", "notes.key": b"k", ".env.txt": b"e"}.items():
        (folder / "page" / name).write_bytes(text)
    (folder / "page" / "assets" / "index-a1B2.js.gz").write_bytes(gzip.compress(SCRIPT))
    return folder / "page"


def test_a_page_from_disk(tmp_path, make_board):
    page = lay(tmp_path)
    alice = f'role = "administrator"\npassword = "{HASH}"\n[https]\nui = "{page}"'
    one = House(tmp_path, make_board, users=lambda _: {"alice": alice}).start()
    door = Door(one)
    try:
        for path in ("/", "/targets", "/console/a.js", "/index.html"):
            got = door.ask("GET", path)
            assert (got.status, got.body, got.headers["Content-Type"], got.headers["Cache-Control"]) == (200, INDEX, "text/html; charset=utf-8", "no-cache"), path
        assert got.headers["Content-Security-Policy"].startswith("default-src 'self'")
        again = door.ask("GET", "/", If_None_Match=got.headers["ETag"])
        assert (again.status, again.body) == (304, b"")

        plain = door.ask("GET", "/assets/index-a1B2.js")
        assert (plain.body, plain.headers["Content-Encoding"]) == (SCRIPT, None)
        assert "immutable" in plain.headers["Cache-Control"] and plain.headers["Content-Type"].startswith("text/javascript")
        packed = door.ask("GET", "/assets/index-a1B2.js", Accept_Encoding="br, gzip")
        assert (gzip.decompress(packed.body), packed.headers["Content-Encoding"], packed.headers["Vary"]) == (SCRIPT, "gzip", "Accept-Encoding")
        assert packed.headers["ETag"] != plain.headers["ETag"], "other bytes, another tag"
        assert door.ask("GET", "/assets/only.css", Accept_Encoding="gzip").body == b"a{}"
        head = door.ask("HEAD", "/assets/index-a1B2.js")
        assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(SCRIPT)))

        for path in ("/assets/gone.js", "/assets/../../secret.txt", "/../secret.txt", "/assets/..%2f..%2fsecret.txt", "//secret.txt/../secret.txt",
                     "/notes.key", "/.env.txt", "/assets/", "/api", "/api/nothing", "/index.html.gz", "/secret.txt"):
            got = door.ask("GET", path)
            assert got.status in (404, 200) and b"nobody" not in got.body, path
            assert got.status == 404 or got.body == INDEX, path
        for path in ("/assets/gone.js", "/api/nothing", "/notes.key"):
            assert door.ask("GET", path).status == 404, path
        assert door.ask("POST", "/", {}).status == 404

        # Another folder with the next reload, and words where there is none.
        one.board.reload(one.board.config.read_text().replace(str(page), str(tmp_path / "none")))
        got = wait_for("the other folder", lambda: (got := door.ask("GET", "/")).status == 404 and got)
        assert b"no web page" in got.body and str(tmp_path / "none").encode() in got.body
        assert door.ask("GET", "/api/state").status == 401
    finally:
        one.close()
