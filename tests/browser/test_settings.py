"""What an administrator sets in the page: oobd.toml, users, the certificate, and the own password."""
import csv
import json
import subprocess
import tarfile

import pytest
from board import wait_for
from browser_kit import SIZES, expect
from ssh_kit import PASSWORD

PAGES = {"config": "oobd.toml", "users": "looks only", "certificate": "made by the board"}


def editor(one):
    return one.page.get_by_label("oobd.toml", exact=True)


def change(one, old, new):
    field = editor(one)
    field.fill(field.input_value().replace(old, new))


def confirmed(one, place):
    """Nothing waits any more, whatever the test before left."""
    one.button("Keep the change").click()
    expect(one.button("Keep the change")).to_have_count(0)
    wait_for("it is confirmed", lambda: place.board.json("status")["config_trial"] is None)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_every_settings_page_is_in_order(visit, size, scheme):
    one = visit(size, color_scheme=scheme).sign_in().sees("Latest events")
    for name, sign in PAGES.items():
        one.go(f"/more/{name}").sees(sign)
        one.page.wait_for_load_state("load")
        one.picture(f"settings-{name}-{scheme}").accessible()


@pytest.mark.parametrize("size", SIZES)
def test_the_file_is_edited_with_an_error_at_its_line(visit, place, size):
    one = visit(size).sign_in(path="/more/config").sees("Nothing was changed.")
    before = editor(one).input_value()
    line = before[:before.index("poll =")].count("\n") + 1
    change(one, 'poll = "2s"', "poll = 2")
    one.sees("1 problem(s)").sees("write text with a unit")
    expect(one.button("Review and apply…")).to_be_disabled()
    one.button(f"Line {line}", exact=True).click()
    expect(editor(one)).to_be_focused()
    chosen = one.page.evaluate("(([a, b, text]) => text.slice(a, b))((area => [area.selectionStart, area.selectionEnd, area.value])(document.activeElement))")
    assert chosen == "2"
    one.picture("config-error").accessible()
    change(one, "poll = 2", 'poll = "3s"')
    one.sees("Nothing is wrong.")
    one.button("Review and apply…").click()
    expect(one.page.get_by_role("region", name="Changes")).to_contain_text('+ poll = "3s"')
    one.picture("config-review").accessible()
    one.button("Apply", exact=True).click()
    one.sees("In force; restarted: pdu.rack.").picture("config-applied").accessible()
    assert 'poll = "3s"' in place.board.config.read_text()
    one.button("Back to the file before…").click()
    one.page.get_by_role("dialog").get_by_role("button", name="Apply").click()
    wait_for("the file before", lambda: place.board.config.read_text() == before)
    expect(editor(one)).to_have_value(before)


def test_what_touches_the_doors_waits_to_be_kept(visit, place):
    one = visit("phone").sign_in(path="/more/config").sees("Nothing was changed.")
    change(one, "[https]", '[https]\nidle = "20m"')
    one.sees("Nothing is wrong.")
    one.button("Review and apply…").click()
    one.button("Apply", exact=True).click()
    one.sees("comes undone in").picture("config-trial").accessible()
    # Somebody who may not keep it sees that it waits.
    two = visit("desktop").sign_in("eve").sees("comes undone in")
    expect(two.button("Keep the change")).to_have_count(0)
    one.button("Undo it now").click()
    expect(one.button("Undo it now")).to_have_count(0)
    wait_for("it is undone", lambda: 'idle = "20m"' not in place.board.config.read_text())
    expect(two.page.get_by_text("comes undone in")).to_have_count(0)


def test_somebody_else_was_faster(visit, place):
    one = visit("desktop").sign_in(path="/more/config").sees("Nothing was changed.")
    change(one, "schema = 1", "schema = 1\n# mine")
    path = place.board.work / "theirs.toml"
    path.write_text(place.board.config.read_text() + "# theirs\n")
    place.board.ctl("config", "apply", path)
    one.sees("Nothing is wrong.")
    one.button("Review and apply…").click()
    one.button("Apply", exact=True).click()
    one.sees("changed since it was read")
    one.button("Review and apply…").click()
    expect(one.page.get_by_role("region", name="Changes")).to_contain_text("- # theirs")
    one.button("Cancel").click()
    one.button("Discard changes").click()
    one.sees("Nothing was changed.")
    assert "# theirs" in editor(one).input_value()


@pytest.mark.parametrize("size", SIZES)
def test_users_come_change_and_go(visit, place, size):
    name = f"user-{size}"
    one = visit(size).sign_in(path="/more/users").sees("eve")
    one.button("Add a user").click()
    one.page.get_by_label("Name").fill(name)
    one.page.get_by_label("New password").fill("correct horse")
    one.page.get_by_label("Consoles").fill("core-* fire*:read")
    one.picture("user-add").accessible()
    one.button("Save").click()
    one.sees("core-* fire*:read")
    one.button(f"Change {name}").click()
    one.page.get_by_label("Role").select_option("readonly")
    one.button("Save").click()
    confirmed(one, place)
    users = {user["name"]: user for user in place.board.json("user", "list")["users"]}
    assert (users[name]["role"], users[name]["consoles"], users[name]["has_password"]) == ("readonly", ["core-*", "fire*:read"], True)
    two = visit("phone").sign_in(name, "correct horse").sees("Latest events")
    # The last administrator stays.
    one.hold(one.button("Remove alice: keep pressing"))
    one.sees("no administrator would be left")
    one.hold(one.button(f"Remove {name}: keep pressing"))
    confirmed(one, place)
    expect(one.page.get_by_text(name)).to_have_count(0)
    expect(two.button("Sign in")).to_be_visible()
    one.picture("users-after").accessible()


def test_the_own_password(visit, place):
    one = visit("phone").sign_in("eve", path="/more").sees("Change my password")
    expect(one.page.get_by_role("link", name="Configuration")).to_have_count(0)
    one.button("Change my password").click()
    other = "another long one"
    for old, new, told in (("wrong", other, "wrong user name or password"), (PASSWORD, other, "Your password was changed")):
        fill_in_password(one, old, new).picture("own-password").accessible()
        one.button("Save").click()
        one.sees(told)
    # And back, for the tests that follow.
    two = visit("phone").sign_in("eve", other, path="/more").sees("Change my password")
    two.button("Change my password").click()
    fill_in_password(two, other, PASSWORD).button("Save").click()
    two.sees("Your password was changed")


def fill_in_password(one, old, new):
    for label, text in (("Old password", old), ("New password", new), ("Once more", new)):
        one.page.get_by_label(label).fill(text)
    return one


def test_a_support_bundle_is_saved(visit, place):
    one = visit("phone").sign_in(path="/more")
    with one.page.expect_download() as got:
        one.page.get_by_role("link", name="Save a support bundle").click()
    with tarfile.open(got.value.path()) as bundle:
        assert any(name.endswith("oobd.toml") or "config" in name for name in bundle.getnames()), bundle.getnames()
    expect(visit("phone").sign_in("eve", path="/more").sees("Appearance").page.get_by_role("link", name="Save a support bundle")).to_have_count(0)


def test_events_are_saved_as_a_table(visit, place):
    place.board.ctl("event", "note", '=1+1, "quoted"')
    one = visit("desktop").sign_in(path="/events").sees("=1+1")
    with one.page.expect_download() as got:
        one.button("Save as CSV").click()
    rows = list(csv.reader(got.value.path().read_text().splitlines()))
    assert rows[0] == ["seq", "at", "severity", "source", "text"]
    assert any("=1+1" in row[4] and '"quoted"' in row[4] for row in rows) and [int(row[0]) for row in rows[1:]] == sorted(int(row[0]) for row in rows[1:])
    with one.page.expect_download() as got:
        one.button("Save as JSON").click()
    assert json.loads(got.value.path().read_text())[0]["seq"] == int(rows[-1][0])


def test_a_certificate_is_requested_and_installed(visit, place, tmp_path):
    one = visit("desktop").sign_in(path="/more/certificate").sees("made by the board")
    one.page.get_by_label("Names and addresses").fill("rack7.example.net 10.77.0.5")
    one.button("Make the request").click()
    (tmp_path / "board.csr").write_text(one.page.get_by_label("Request (PKCS #10)").input_value())

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Our authority", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("x509", "-req", "-in", "board.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-copy_extensions", "copy", "-out", "board.pem")
    one.page.get_by_label("Certificate and those").set_input_files(tmp_path / "ca.pem")
    one.button("Install", exact=True).click()
    one.sees("does not belong to the certificate")
    one.page.get_by_label("Certificate and those").set_input_files(tmp_path / "board.pem")
    one.button("Install", exact=True).click()
    one.sees("Our authority").sees("rack7.example.net").picture("certificate-installed").accessible()
    assert place.board.json("certificate", "show")["certificate"]["origin"] == "installed"
    one.hold(one.button("Back to the board’s own"))
    one.sees("made by the board")
