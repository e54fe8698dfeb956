"""Events: alarms that somebody has seen, for everybody; a moment of the past and back to what happens now."""
import pytest
from board import wait_for
from browser_kit import SIZES, expect


def alarm(place, text):
    """A file that is not taken makes one."""
    good = place.board.config.read_text()
    place.board.reload(good + f"\n[{text}]\n")
    wait_for("the alarm", lambda: any(text in one["text"] for one in place.board.json("status")["alarms"].values()))
    place.board.config.write_text(good)


@pytest.fixture
def nothing_open(place):
    open_ones = [seq for seq, one in place.board.json("status")["alarms"].items() if not one["acknowledged"]]
    if open_ones:
        place.board.ctl("event", "ack", *open_ones)
        wait_for("none", lambda: all(one["acknowledged"] for one in place.board.json("status")["alarms"].values()))


@pytest.mark.parametrize("size", SIZES)
def test_an_alarm_is_acknowledged_for_everybody(visit, place, nothing_open, size):
    one, other = visit(size).sign_in().sees("Latest events"), visit("desktop").sign_in("eve", path="/events")
    alarm(place, f"wrong_{size}")
    alarm(place, f"worse_{size}")
    one.sees("Alarms that nobody has acknowledged: 2").picture("now-alarms").accessible()
    one.page.get_by_role("link", name="Alarms that nobody has acknowledged: 2").click()
    card = one.page.locator("section.card", has=one.page.get_by_role("heading", name="Alarms"))
    expect(card.get_by_role("listitem")).to_have_count(2)
    one.picture("events-alarms").accessible()
    # The keyboard will do.
    card.get_by_role("button", name=f"wrong_{size}").focus()
    one.page.keyboard.press("Enter")
    note = card.get_by_label("Note for the others")
    expect(note).to_be_focused()
    one.picture("events-acknowledge").accessible()
    one.page.keyboard.type("a typo of mine")
    one.page.keyboard.press("Enter")
    expect(card.get_by_role("listitem")).to_have_count(1)
    # Somebody who may only look sees who it was, live, and has no button.
    other.sees("alice has seen it").sees("a typo of mine")
    assert other.button("Acknowledge").count() == 0
    card.get_by_role("button", name=f"worse_{size}").click()
    card.get_by_role("button", name="Acknowledge", exact=True).click()
    expect(card).to_have_count(0)
    one.go("/").sees("Latest events")
    expect(one.page.get_by_text("nobody has acknowledged")).to_have_count(0)


def test_all_at_once(visit, place, nothing_open):
    one = visit().sign_in(path="/events")
    for text in ("first_of_all", "second_of_all"):
        alarm(place, text)
    one.button("Acknowledge all (2)").click()
    expect(one.button("Acknowledge all")).to_have_count(0)
    wait_for("all are seen", lambda: all(one["acknowledged"] for one in place.board.json("status")["alarms"].values()))


@pytest.mark.parametrize("size", SIZES)
def test_a_moment_of_the_past_and_back(visit, place, size):
    for number in range(110):
        place.board.ctl("event", "note", f"{size} note {number} of many")
    one = visit(size).sign_in(path="/events").sees("note 109 of many")
    began = one.page.get_by_text("started", exact=False).filter(has_text="oobd")
    expect(began).to_have_count(0)
    one.page.get_by_label("Around").fill("2020-01-01T12:00")
    one.button("Go").click()
    expect(began.first).to_be_visible()
    one.sees("Around 2020-01-01 12:00").picture("events-around").accessible()
    # What happens meanwhile waits; later ones are loaded.
    place.board.ctl("event", "note", f"{size} meanwhile")
    for _ in range(8):
        one.button("Show newer").click()
        expect(one.button("Show newer")).to_be_enabled()
        if one.page.get_by_text("These are the newest").is_visible():
            break
    one.sees(f"{size} meanwhile")
    one.button("Back to live").click()
    place.board.ctl("event", "note", f"{size} live again")
    one.sees(f"{size} live again")
    # A moment to come: the newest there are, and older ones from there.
    one.page.get_by_label("Around").fill("2099-01-01T12:00")
    one.button("Go").click()
    one.sees(f"{size} live again")
    one.button("Show 200 more").click()
    expect(began.first).to_be_visible()
