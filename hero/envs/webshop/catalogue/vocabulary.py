"""The words of the embedded catalogue."""

from __future__ import annotations

from typing import Final

ATTRIBUTES: Final = {
    "fashion": "quilted/quilting padded/padding hooded/hoods lined/lining pleated/pleats waxed/waxing "
    "fitted/fitting belted/belts knitted/knitting ribbed/ribs",
    "beauty": "scented/scents tinted/tinting whipped/whipping infused/infusing medicated/medicating "
    "perfumed/perfumes cooling/cools foaming/foams firming/firms soothing/soothes",
    "electronics": "shielded/shielding braided/braiding insulated/insulation weighted/weights curved/curves "
    "coated/coating amplified/amplifies reinforced/reinforces tilting/tilts folding/folds",
    "garden": "glazed/glazing carved/carving painted/paint galvanized/galvanizing stacking/stacks "
    "hanging/hangs polished/polish varnished/varnish cushioned/cushions hammered/hammers",
    "grocery": "roasted/roasting salted/salting smoked/smoke sweetened/sweetening pickled/pickles "
    "toasted/toasting blended/blends filtered/filters spiced/spices crushed/crushing",
}
"""Attributes by department, each with a word of the same stem that does not contain it."""
KINDS: Final = {
    "fashion": "rain jacket,winter coat,denim skirt,cargo vest,evening dress,bucket hat,ankle boot,travel scarf",
    "beauty": "body lotion,face mask,lip balm,hand cream,hair serum,bath soap,eye gel,nail oil",
    "electronics": "phone cable,desk lamp,travel speaker,laptop stand,game controller,wall charger,car mount,ear muff",
    "garden": "flower pot,patio chair,bird feeder,side table,plant shelf,wind chime,garden bench,door lantern",
    "grocery": "almond snack,green tea,tomato sauce,corn chip,olive spread,coffee bean,pepper mix,oat cereal",
}
"""Kinds of product by department; each ends in its noun."""
OPTIONS: Final = {
    "color": "black white navy pink purple yellow orange olive",
    "size": "small medium large petite",
    "scent": "lavender vanilla citrus jasmine cedar",
    "volume": "mini regular jumbo",
    "power": "solar battery mains",
    "length": "short long extended",
    "finish": "matte glossy rustic",
    "flavor": "honey garlic lemon ginger maple",
    "pack": "single double triple",
}
"""Values of each option group."""
GROUPS: Final = {
    "fashion": ("color", "size"),
    "beauty": ("scent", "volume"),
    "electronics": ("power", "length"),
    "garden": ("color", "finish"),
    "grocery": ("flavor", "pack"),
}
"""Option groups by department."""
BRANDS: Final = (
    "Norvia Zelmo Kartano Pelliro Umbria Trovex Lumeno Sandor Fennick Orwell Brinza Calden Dorvik Elmira Gravo Hestia "
    "Ivaro Jorund Kelso Marlow Nimbo Osprey Quarto Rivena Solvik Tundra Vesper Wexley Yarrow Zandra"
).split()
TEMPLATES: Final = (
    "find me {article} {adjectives} {kind}{options}",
    "i am looking for {article} {kind} that is {list}{options}",
    "i need {article} {list} {kind}{options}",
    "please show me {article} {kind}, {list}{options}",
    "i would like to buy {article} {adjectives} {kind}{options}",
)
"""Templates of instructions."""
PHRASES: Final = ("in {value}", "with {group} {value}", "{group} {value}")
"""Templates of a requested option."""
FILLERS: Final = (
    "Made for every day.",
    "A favorite of our customers.",
    "Ships in a simple box.",
    "Designed with care and tested twice.",
    "Good value for the whole family at home or away.",
)
"""Sentences of descriptions that say nothing of the product."""
