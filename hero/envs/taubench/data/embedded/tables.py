"""The words of the embedded world: its policy, and names, places and products to draw from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

POLICY: Final = """\
You work at the service desk of a shop and act through tools.
1. Find out who the customer is first: by email, or by name and zip code. Help that customer alone.
2. Before you change anything, say what you are about to do and wait for a yes.
3. A pending order can be cancelled (no longer needed, or ordered by mistake), and its address, payment method or items
changed; items of an order once only, all of them at a time.
4. Items of a delivered order can be exchanged for other variants of the same product, or returned; a return is refunded
to the payment method of the order or to a gift card.
5. Orders with any other status stay as they are: say so.
6. Take facts from tools and from the customer alone. One tool call, or one message to the customer, at a time.
7. What no tool can do goes to transfer_to_human_agents."""

FIRST_NAMES: Final = (
    "Ada Bela Cleo Dario Edda Fabio Greta Henk Ines Jona Kaya Levi Mona Nils Olga Piet Runa Sven Thea Ugo Vera Wim "
    "Xenia Yann Zora"
).split()
LAST_NAMES: Final = (
    "Abel Brandt Corti Dahl Eriks Farkas Gruber Holm Ivers Janko Krall Lund Moser Nagy Orban Pohl Quist Rossi Sauer "
    "Toth Ulrik Vogt Weiss Zeller"
).split()
PLACES: Final = (
    "Ashford OH,Birchwood OR,Cedarville TX,Dunmore PA,Elkridge MD,Fairhaven MA,Glenrock WY,Hillsboro KS,Ironton MN,"
    "Juniper GA"
).split(",")
"""Cities with their states."""
STREETS: Final = "Alder Beech Cherry Dogwood Elder Fir Hazel Juniper Larch Maple".split()
PRODUCTS: Final[Mapping[str, str]] = {
    "Kettle": "color: red blue steel, size: small large",
    "Lamp": "color: white black, light: warm cold",
    "Backpack": "color: green grey navy, size: small large",
    "Headset": "link: wired wireless, color: black white",
    "Blanket": "fabric: wool cotton, size: single double",
    "Notebook": "paper: lined plain dotted, size: pocket large",
    "Umbrella": "color: yellow black, handle: straight curved",
    "Bottle": "material: glass steel, size: small large",
    "Clock": "face: round square, style: digital analog",
    "Scarf": "fabric: silk wool, color: red grey",
    "Puzzle": "pieces: 500 1000 2000, theme: animals cities",
    "Toaster": "slots: two four, color: white steel",
}
"""Products with their two groups of options; every combination is a variant."""
STATUSES: Final = (
    ("pending", "delivered"),
    ("pending", "processed"),
    ("delivered", "pending"),
    ("processed", "delivered"),
)
"""Statuses of the two orders of a customer."""
