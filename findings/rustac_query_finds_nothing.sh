#!/usr/bin/env bash
# Guess: a STAC API that does not know the query extension ignores `query`, and the search answers as if it were not there
# (or with an error).
# Surprise: rustac's memory backend answers a POST with `query` with HTTP 200 and no items at all, though three of five match
# and its landing page does not claim the extension. "Nothing was found" may mean "not understood".
set -euo pipefail
work=$(mktemp -d); trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
server=0
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q rustac==0.9.18
"$work/env/bin/python" - "$work/items.json" <<'PY'
import json, sys
item = lambda i: {"type": "Feature", "stac_version": "1.1.0", "id": f"n{i}", "collection": "c", "bbox": [1, 1, 2, 2], "links": [],
                  "geometry": {"type": "Polygon", "coordinates": [[[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]]]},
                  "properties": {"datetime": "2020-01-01T00:00:00Z", "eo:cloud_cover": i}, "assets": {}}
json.dump({"type": "FeatureCollection", "features": [item(i) for i in range(5)]}, open(sys.argv[1], "w"))
PY
port=$("$work/env/bin/python" -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
"$work/env/bin/rustac" serve "$work/items.json" --create-collections --use-duckdb false --addr "127.0.0.1:$port" >/dev/null & server=$!
"$work/env/bin/python" - "$port" <<'PY'
import json, sys, time, urllib.request
root = f"http://127.0.0.1:{sys.argv[1]}"
for _ in range(50):
    try:
        landing = json.load(urllib.request.urlopen(root, timeout=5)); break
    except OSError:
        time.sleep(0.1)
def found(**body):
    head = {"Content-Type": "application/json"}
    asked = urllib.request.Request(f"{root}/search", json.dumps({"collections": ["c"], **body}).encode(), head)
    return [f["id"] for f in json.load(urllib.request.urlopen(asked, timeout=5))["features"]]
plain, asked = found(), found(query={"eo:cloud_cover": {"lt": 3}})
print("rustac 0.9.18; without query:", plain, "; with query:", asked)
print("claims query:", any("query" in c for c in landing["conformsTo"]))
assert len(plain) == 5 and asked == [] and not any("query" in c for c in landing["conformsTo"])
PY
