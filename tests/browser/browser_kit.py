"""A browser on a host of the board's LAN, and the board with what its page shows."""
from pathlib import Path

import power_kit
from board import ROOT, wait_for
from playwright.sync_api import expect, sync_playwright
from ssh_kit import HASH, PASSWORD, Device, run

SCREENS = ROOT / "target" / "screens"
AXE = ROOT / "ui" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
# Two cores for everybody: a page has as long as it needs.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)

USERS = "".join(f'[user.{name}]\nrole = "{role}"\npassword = "{HASH}"\nconsoles = ["*"]\noutlets = ["*"]\nmachines = ["*"]\n'
                for name, role in (("alice", "administrator"), ("eve", "readonly")))
UI = f'[https]\nui = "{ROOT / "ui" / "dist"}"\n'
SECTIONS = UI + f"""
[pdu.rack]
powerman = {{ host = "{power_kit.HOST}:10101" }}
poll = "2s"
[machine.web-1]
outlets = ["rack/web-1"]
"""


def switch(said):
    """A device that echoes, and has a prompt."""
    return said.replace(b"\r", b"\r\ncore-switch# ")


class Place(power_kit.House):
    """The board, powermand with its simulated PDUs, and two devices on serial lines."""

    address = "https://10.77.0.5"

    def __init__(self, work, make_board):
        super().__init__(work, make_board, users=USERS)
        self.devices = {"core-switch": Device(switch), "firewall": Device()}
        self.powerman = self.peers(power_kit.Powerman).up()
        consoles = "".join(f'[console.{name}]\nserial = {{ port = "{device.path}", line = "115200n8" }}\noutlet = ["rack/rack3"]\n'
                           for name, device in self.devices.items())
        self.start(SECTIONS + consoles)
        self.up(timeout=60)
        self.devices["core-switch"].say(b"core-switch# ")

    def config(self, sections):
        """With a Wi-Fi uplink, for which there is no radio."""
        uplink = '[uplink.hotspot]\nwifi = { ssid = ["remote.it"], passphrase = "correct horse battery", country = "US" }\n'
        return super().config(sections).replace('mode = "off"', 'mode = "trigger"') + uplink

    def lan_is(self, word):
        """The cable of the browser's host: `up` or `down`."""
        run("ip", "-n", self.lan.host, "link", "set", "lan0", word)

    def swallow(self, word):
        """Whether the browser's host takes nothing in, without a word to anybody, as when a phone's network forgot us: `all`, `nothing`."""
        rules = {"all": "add table inet cut { chain in { type filter hook input priority 0; policy drop; }; }", "nothing": "delete table inet cut"}
        run("ip", "netns", "exec", self.lan.host, "nft", rules[word])

    def close(self):
        super().close()
        for device in self.devices.values():
            device.close()


class Browser:
    def __init__(self, netns, work):
        self.playwright = sync_playwright().start()
        program = work / "chromium"
        program.write_text(f'#!/bin/sh\nexec ip netns exec {netns} /usr/bin/chromium "$@"\n')
        program.chmod(0o755)
        self.chromium = self.playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"], timeout=120_000)

    def visitor(self, address, size, **options):
        width, height = SIZES[size]
        phone = size == "phone"
        context = self.chromium.new_context(viewport={"width": width, "height": height}, is_mobile=phone, has_touch=phone, base_url=address,
                                            ignore_https_errors=True, device_scale_factor=2 if phone else 1, **options)
        context.set_default_timeout(PATIENCE)
        return Visitor(context, size)

    def close(self):
        self.chromium.close()
        self.playwright.stop()


class Visitor:
    """One person with one page."""

    def __init__(self, context, size):
        self.context, self.size, self.page, self.complaints = context, size, context.new_page(), []
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("console", lambda said: self.hear(said.type, f"{said.text} ({said.location})"))

    def hear(self, kind, text):
        # What the network refused is told to the person by the page, and told here by the browser as well. Pixels are read by tests.
        refused = ("Failed to load resource", "WebSocket connection to", "net::ERR_", "willReadFrequently")
        if kind in ("error", "warning") and not any(word in text for word in refused):
            self.complaints.append(f"{kind}: {text}")

    def go(self, path):
        self.page.goto(path)
        return self

    def sign_in(self, user="alice", password=PASSWORD, path="/"):
        self.go(path)
        self.page.get_by_label("User").fill(user)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        return self

    def sees(self, text):
        expect(self.page.get_by_text(text).first).to_be_visible()
        return self

    def button(self, name, **options):
        return self.page.get_by_role("button", name=name, **options)

    def hold(self, button, millis=1700):
        """Presses until it acts; the time is the page's own."""
        button.scroll_into_view_if_needed()
        button.hover()
        self.page.mouse.down()
        self.page.wait_for_timeout(millis)
        self.page.mouse.up()

    def picture(self, name, of=None):
        SCREENS.mkdir(parents=True, exist_ok=True)
        if of:
            of.scroll_into_view_if_needed()
        # Hiding the caret would need an inline style, which the page's policy refuses.
        self.page.screenshot(path=SCREENS / f"{name}-{self.size}.png", caret="initial")
        return self

    def terminal(self):
        """What the terminal shows, line by line."""
        return self.page.evaluate("[...document.querySelectorAll('.xterm-rows > div')].map(row => row.textContent.trimEnd()).join('\\n')")

    def shows(self, text, timeout=90):
        return wait_for(f"the terminal shows {text!r}", lambda: text in self.terminal() and self.terminal(), timeout)

    def accessible(self):
        """No serious finding of axe, and nothing to be scrolled sideways."""
        self.page.evaluate(AXE.read_text() + ";0")
        found = self.page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
        bad = [f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}" for one in found if one["impact"] in ("serious", "critical")]
        assert not bad, "\n".join(bad)
        wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{wide} pixels too wide"
        return self

    def close(self):
        self.context.close()
