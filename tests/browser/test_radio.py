"""What is measured: the networks that a radio hears, its signal and the sensors of a machine over time."""
import pytest
from board import Board, wait_for
from browser_kit import SIZES, UI, USERS, Browser, expect
from machine_kit import FAST, House, ipmi
from radio_kit import HOME, OnAir, Radio
from ssh_kit import PASSWORD

COLOURS = "[...new Uint32Array(document.querySelector('.plot canvas').getContext('2d').getImageData(0, 0, 600, 150).data.buffer)]"


class Place(OnAir, House):
    """A board with a phone's hotspot on air, and a machine with a BMC."""

    address = "https://10.77.0.5"

    def __init__(self, work):
        super().__init__(work, lambda config, **options: Board(work / "board", config, **options), users=USERS)
        self.radio = Radio(self.lan.board, self.lan.host, work, HOME)
        self.sim()
        self.start(f'{UI}[machine.db1]\n{ipmi()}{FAST}')
        self.phase("up", timeout=90)
        self.up_within(90)


@pytest.fixture(scope="module")
def place(binaries, page_files, tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("radio"))
    yield place
    place.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_networks_on_air_and_the_signal_over_time(visit, place, size, scheme):
    one = visit(size, color_scheme=scheme).sign_in(path="/uplinks").sees("dBm")
    expect(one.page.locator(".plot canvas")).to_be_visible()
    # A louder phone is drawn within some seconds.
    place.radio.dbm = -47 if place.radio.dbm == -58 else -58
    one.sees(f"−{abs(place.radio.dbm)} dBm")
    one.page.get_by_text("Networks on air").click()
    row = one.page.get_by_role("listitem").filter(has_text="joined")
    expect(row).to_contain_text("WPA2")
    expect(one.page.get_by_role("listitem").filter(has_text="has no passphrase")).to_contain_text("not usable")
    for name in ("Rack row guest", "(hidden)", "printer"):
        one.sees(name)
    scans = len(place.radio.scans)
    one.button("Scan all channels").click()
    wait_for("a scan of all channels", lambda: any("freq" not in scan for scan in place.radio.scans[scans:]), 90)
    expect(one.button("Scan all channels")).to_be_enabled()
    wait_for("a curve", lambda: len(set(one.page.evaluate(COLOURS))) > 2)
    one.picture(f"uplinks-radio-{scheme}").accessible()


def test_what_the_radio_hears_later_shows_by_itself(visit, place):
    one = visit(locale="fr-FR").go("/uplinks")
    one.page.get_by_label("Utilisateur").fill("eve")
    one.page.get_by_label("Mot de passe").fill(PASSWORD)
    one.button("Se connecter").click()
    one.page.get_by_text("Réseaux captés").click()
    one.sees("Rack row guest")
    # Who only looks cannot disturb the radio.
    expect(one.button("Chercher sur tous les canaux")).to_have_count(0)
    place.radio.networks.append(("late-comer", "02:00:00:00:05:00", 2412, -66, "[WPA2-SAE-CCMP][ESS]"))
    one.sees("late-comer").picture("uplinks-radio-french").accessible()


@pytest.mark.parametrize("size", SIZES)
def test_a_sensor_over_time(visit, place, size):
    one = visit(size).sign_in(path="/machine/db1")
    row = one.page.get_by_role("listitem").filter(has_text="FAN1")
    row.locator("summary").click()
    expect(row.locator(".plot canvas")).to_be_visible()
    expect(row.locator("figcaption")).to_contain_text("rpm")
    one.picture("machine-sensors", of=row).accessible()
