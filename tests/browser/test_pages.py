"""Every page: signed in and not, on a phone and a desktop, dark and light, read by axe and kept as a picture."""
import pytest
from browser_kit import SIZES, expect
from ssh_kit import PASSWORD

PAGES = {"now": "/", "targets": "/targets", "console": "/console/core-switch", "outlets": "/pdu/rack", "machine": "/machine/web-1",
         "events": "/events", "uplinks": "/uplinks", "more": "/more"}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_every_page_is_in_order(visit, size, scheme):
    one = visit(size, color_scheme=scheme).go("/")
    expect(one.button("Sign in")).to_be_visible()
    one.picture(f"sign-in-{scheme}").accessible()
    one.sign_in().sees("Latest events")
    for name, path in PAGES.items():
        one.go(path)
        expect(one.page.locator("main h1")).to_be_attached()
        expect(one.page.locator("nav a[aria-current=page]")).to_have_count(1)
        if name == "console":
            one.shows("core-switch#")
        one.page.wait_for_load_state("load")
        one.picture(f"{name}-{scheme}").accessible()


@pytest.mark.parametrize("width, height", [(640, 400), (320, 568)])
def test_nothing_is_cut_off_at_twice_the_size(visit, width, height):
    """A desktop at 200 %, and the narrowest that WCAG asks for; nothing has to be scrolled sideways."""
    one = visit("desktop", color_scheme="dark").sign_in().sees("Latest events")
    one.page.set_viewport_size({"width": width, "height": height})
    for name, path in {**PAGES, "config": "/more/config", "users": "/more/users", "certificate": "/more/certificate"}.items():
        one.go(path)
        expect(one.page.locator("main h1")).to_be_attached()
        one.page.wait_for_load_state("load")
        if name == "console":
            one.shows("core-switch#")
            box = one.page.locator(".xterm-screen").bounding_box()
            assert box["height"] >= 100, f"the terminal is {box['height']} pixels high"
        expect(one.page.get_by_text("There is no such page.")).to_have_count(0)
        one.picture(f"zoom-{name}-{width}").accessible()
    one.go("/nowhere").sees("There is no such page.").page.get_by_role("main").get_by_role("link", name="Now").click()
    one.sees("Latest events")


def test_a_wrong_password_is_told_and_no_page_is_shown(visit):
    one = visit().sign_in(password="guess", path="/more")
    expect(one.page.get_by_role("alert")).not_to_be_empty()
    expect(one.page.locator("nav")).to_have_count(0)
    one.picture("sign-in-wrong")
    one.page.get_by_label("Password").fill(PASSWORD)
    one.button("Sign in").click()
    one.sees("Sign out everywhere")


def test_french(visit):
    one = visit(locale="fr-FR").go("/")
    one.page.get_by_label("Utilisateur").fill("alice")
    one.page.get_by_label("Mot de passe").fill(PASSWORD)
    one.button("Se connecter").click()
    one.sees("Derniers événements").picture("now-french")
    one.page.get_by_role("link", name="Plus").click()
    one.page.get_by_label("Langue").select_option("en")
    one.sees("Sign out everywhere")


def test_who_only_looks_has_no_buttons(visit):
    one = visit("desktop").sign_in("eve", path="/pdu/rack").sees("web-1")
    expect(one.button("Power cycle")).to_have_count(0)
    one.go("/console/core-switch").sees("You watch")
    expect(one.button("Type here")).to_have_count(0)


def test_the_keyboard_alone_reaches_everything(visit):
    one = visit("desktop").sign_in().sees("Latest events")
    one.page.keyboard.press("Tab")
    expect(one.page.get_by_text("Skip to the content")).to_be_focused()
    one.page.get_by_role("link", name="Targets", exact=True).focus()
    one.page.keyboard.press("Enter")
    expect(one.page.get_by_role("heading", level=1, name="Targets")).to_be_focused()
