"""A board as it comes from the card: nobody has a password yet but the one that the board made."""
import re

from browser_kit import UI, Browser, expect
from ssh_kit import House


class Fresh(House):
    def config(self):
        return super().config() + UI


def test_the_password_of_first_boot_is_replaced_first(tmp_path, make_board):
    one = Fresh(tmp_path, make_board, users=lambda _: {}).start()
    browser = None
    try:
        browser = Browser(one.lan.host, tmp_path)
        text = (one.board.work / "boot" / "first-boot.txt").read_text()
        password = re.search(r"[0-9a-z]{5}(-[0-9a-z]{5}){3}", text).group()
        person = browser.visitor("https://10.77.0.5", "phone").sign_in("admin", password).sees("Choose a password")
        person.picture("first-boot").accessible()
        fields = person.page.get_by_label("New password"), person.page.get_by_label("Once more")
        for new, again, told in [("short", "short", "at least 10"), ("a better passphrase", "another one", "not the same")]:
            fields[0].fill(new)
            fields[1].fill(again)
            person.button("Save").click()
            expect(person.page.get_by_role("alert")).to_contain_text(told)
        fields[1].fill("a better passphrase")
        person.button("Save").click()
        person.sees("Latest events")
        person.page.reload()
        person.sees("Latest events")
        assert not person.complaints
    finally:
        if browser:
            browser.close()
        one.close()
