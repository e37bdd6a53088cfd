#!/usr/bin/env bash
# Guess: pystac-client, asked for one month after the other, asks for every moment; and "eo:cloud_cover<10" asks for
# less than the number 10.
# Surprise: a month ends at its last whole second, so a scene of 23:59:59.5 (items carry milliseconds) is in no month:
# consecutive days, months and years all leave that second out. And in a query written as text the 10 is sent as the
# text "10", which the service is left to understand; {"eo:cloud_cover": {"lt": 10}} sends the number. No service is
# asked here: the parameters are read before they are sent.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q pystac-client==0.9.1 pystac==1.14.1
"$work/env/bin/python" -W ignore - <<'PY'
import importlib.metadata
from datetime import datetime, timezone
from pystac_client.item_search import ItemSearch
print("pystac-client", importlib.metadata.version("pystac-client"))
def sent(**asked):
    return ItemSearch("https://stac.example/search", **asked).get_parameters()
moments = {}
for first, second in (("2024-01-31", "2024-02-01"), ("2024-01", "2024-02"), ("2023", "2024")):
    end = sent(datetime=first)["datetime"].split("/")[1]
    start = sent(datetime=second)["datetime"].split("/")[0]
    moments[first] = (datetime.fromisoformat(start) - datetime.fromisoformat(end)).total_seconds()
    print(f"{first} ends {end}, {second} starts {start}")
text, number = (sent(query=q)["query"]["eo:cloud_cover"]["lt"] for q in (["eo:cloud_cover<10"], {"eo:cloud_cover": {"lt": 10}}))
print(f"query as text sends {text!r}, as a dictionary {number!r}")
assert set(moments.values()) == {1.0}
assert (text, number) == ("10", 10)
PY
