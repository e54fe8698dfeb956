"""What a person does: types on a console, switches an outlet, watches events, signs out everywhere."""
import time

import pytest
from board import wait_for
from browser_kit import SIZES, expect

CYCLE = "Power cycle rack/rack3"


def test_console_types_and_resumes_after_the_network_was_away(visit, place):
    device = place.devices["core-switch"]
    one = visit("desktop").sign_in(path="/console/core-switch").sees("You type")
    one.page.keyboard.type("show version\r")
    wait_for("the device heard it", lambda: b"show version\r" in device.got, 60)
    one.shows("show version")
    place.lan_is("down")
    gone = time.monotonic()
    try:
        device.say(b"\r\nsaid while nobody heard 1\r\n")
        one.sees("No connection to the board").picture("console-offline")
        one.page.keyboard.type("x")
        one.sees("Not sent: no connection.")
        device.say(b"said while nobody heard 2\r\n")
        # Half a minute in all, as of a phone in a lift.
        one.page.wait_for_timeout(max(0, 30 - (time.monotonic() - gone)) * 1000)
    finally:
        place.lan_is("up")
    text = one.shows("said while nobody heard 2")
    # Each byte once: nothing was shown twice, nothing is missing.
    assert text.count("nobody heard 1") == text.count("nobody heard 2") == 1 and text.count("show version") == 1, text
    one.sees("You type")
    one.page.locator(".xterm").click()
    one.page.keyboard.type("back\r")
    wait_for("the device hears again", lambda: b"back\r" in device.got, 60)
    assert b"x" not in device.got.replace(b"show version", b""), "what was typed into the void came later"


def test_on_a_phone_one_tap_types_and_takes(visit, place):
    device = place.devices["firewall"]
    desk = visit("desktop").sign_in(path="/console/firewall").sees("You type")
    phone = visit("phone").sign_in(path="/console/firewall").sees("You watch")
    phone.button("Take from alice").tap()
    phone.sees("You type")
    desk.sees("You watch")
    phone.button("Ctrl", exact=True).tap()
    phone.page.keyboard.type("a")
    phone.button("Up", exact=True).tap()
    wait_for("Ctrl-A and an arrow", lambda: b"\x01\x1b[A" in device.got, 60)
    phone.button("Paste…").tap()
    phone.page.get_by_label("Text", exact=True).fill("one\ntwo\n")
    phone.picture("paste").accessible()
    phone.button("Send").tap()
    wait_for("both lines", lambda: b"one\rtwo\r" in device.got, 60)
    before = len(place.told("BreakSent"))
    phone.hold(phone.button("Break"))
    wait_for("the break", lambda: len(place.told("BreakSent")) > before, 60)
    phone.picture("console-typing")


@pytest.mark.parametrize("size", SIZES)
def test_outlet_cycles_by_a_long_press_only(visit, place, size):
    one = visit(size).sign_in(path="/pdu/rack").sees("rack/rack3")
    expect(one.button(CYCLE)).to_be_enabled()
    before = len(place.told("OutletSwitched"))
    one.hold(one.button(CYCLE), millis=200)
    one.sees("Keep pressing to do it")
    assert len(place.told("OutletSwitched")) == before
    one.hold(one.button(CYCLE))
    card = one.page.get_by_role("article", name="rack/rack3")
    expect(card.get_by_text("Power cycle under way…")).to_be_visible()
    one.picture("outlet-pending", of=card)
    expect(card.get_by_text("Power cycle confirmed after")).to_be_visible()
    expect(card.get_by_text("On", exact=True)).to_be_visible()
    one.picture("outlet-confirmed", of=card).accessible()
    assert place.powerman.state("rack3") == "on"


def test_the_keyboard_is_asked_before_a_destructive_verb(visit, place):
    one = visit("desktop").sign_in(path="/pdu/rack").sees("rack/rack5")
    off = one.button("Switch off rack/rack5")
    off.focus()
    one.page.keyboard.press("Enter")
    dialog = one.page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    one.picture("outlet-question").accessible()
    one.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_events_come_live_and_once_after_the_network_was_away(visit, place):
    one = visit().sign_in(path="/events").sees("live")
    note(place, "before the gap")
    one.sees("before the gap")
    place.swallow("all")
    try:
        note(place, "within the gap")
        # The heartbeat is missed, nothing else tells.
        one.sees("No connection to the board")
    finally:
        place.swallow("nothing")
    one.sees("within the gap")
    expect(one.page.get_by_text("within the gap")).to_have_count(1)
    expect(one.page.get_by_text("before the gap")).to_have_count(1)
    one.sees("live").picture("events-after-gap")


def note(place, text):
    """An event that somebody else makes."""
    place.board.ctl("event", "note", text)


def test_signing_out_everywhere_ends_every_page(visit, place):
    desk = visit("desktop").sign_in(path="/console/core-switch").sees("You type")
    phone = visit("phone").sign_in(path="/more").sees("Sign out everywhere")
    expect(phone.page.locator(".sessions li")).not_to_have_count(1)
    phone.button("Sign out everywhere").tap()
    expect(phone.button("Sign in")).to_be_visible()
    expect(desk.button("Sign in")).to_be_visible()
    desk.page.reload()
    expect(desk.button("Sign in")).to_be_visible()


def test_an_uplink_and_what_needs_attention(visit, place):
    """Without a radio the uplink fails, and the first page says so; the page of the uplinks has the reason."""
    one = visit().sign_in().sees("Uplink hotspot:")
    one.picture("now-attention").accessible()
    one.page.get_by_text("Uplink hotspot:").click()
    one.sees("No radio")
    one.button("Search now").tap()
    one.picture("uplinks-absent").accessible()
