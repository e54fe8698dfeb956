"""The screen of a machine with Intel AMT in the browser: the picture moves, keys arrive, two people share it."""
import pytest
from board import wait_for
from browser_kit import UI, USERS, Browser, expect
from redirection_kit import Rack

BOARD = "https://10.79.0.5"
# While the page tries again there is no canvas: no colour then.
PIXEL = """([x, y]) => {
  const canvas = document.querySelector('.picture canvas');
  return canvas ? [...canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3) : [-1, -1, -1];
}"""


@pytest.fixture
def rack(spaces, tmp_path, make_board):
    rack = Rack(spaces, tmp_path, make_board)
    yield rack
    rack.close()


@pytest.fixture
def people(rack, tmp_path):
    browser = Browser(rack.host.name, tmp_path)
    yield browser
    browser.close()


def test_the_picture_moves_and_keys_arrive(rack, people):
    device = rack.device()
    rack.up(consoles="", more=USERS + UI)
    desk = people.visitor(BOARD, "desktop").sign_in(path="/machine/db1")
    desk.page.get_by_role("link", name="Screen").click()
    desk.sees("Control")

    def pixel(who, *place):
        return who.page.evaluate(PIXEL, list(place))

    # The gradient of the device, from blue below to red on the right.
    wait_for("the picture", lambda: pixel(desk, 799, 599)[0] > 240 and 0 <= pixel(desk, 0, 599)[0] < 16, 90)
    device.tell("KVMR colour 63488")
    wait_for("a red square", lambda: pixel(desk, 5, 5) == [255, 0, 0], 90)
    desk.page.locator(".picture canvas").click()
    desk.page.keyboard.type("a")
    wait_for("the key", lambda: device.seen(key=0x61, down=True), 90)
    desk.hold(desk.button("Ctrl+Alt+Del"))
    wait_for("Delete", lambda: device.seen(key=0xFFFF, down=True), 90)
    desk.picture("screen").accessible()

    phone = people.visitor(BOARD, "phone").sign_in("eve", path="/machine/db1/screen").sees("Look only")
    wait_for("the same picture", lambda: pixel(phone, 799, 599)[0] > 240 and pixel(phone, 5, 5) == pixel(desk, 5, 5), 90)
    expect(phone.button("Take control")).to_have_count(0)
    device.tell("KVMR colour 2016")
    wait_for("both see green", lambda: pixel(phone, 5, 5) == pixel(desk, 5, 5) == [0, 255, 0], 90)
    phone.picture("screen").accessible()
    assert not desk.complaints + phone.complaints


def test_why_there_is_no_picture(rack, people):
    device = rack.device()
    rack.up(consoles="", more=USERS + UI)
    device.tell("hold KVMR")
    one = people.visitor(BOARD, "phone").sign_in(path="/machine/db1/screen")
    one.sees("KVM is in use by another session")
    one.picture("screen-none").accessible()
