#!/usr/bin/env bash
# Guess: deck.gl's MapboxOverlay (9.4.0) draws its layers on MapLibre GL, whichever version is newest (6.17.0).
# Surprise: interleaved with MapLibre 6 every frame throws "Cannot read properties of undefined (reading 'height')", for
# the overlay reads `map.transform`, which MapLibre 6 no longer has; the map is there, the layers are not, and npm warns
# of nothing. With MapLibre 5.24.1 they are drawn. Needs node, npm, and Debian's chromium on the PATH.
set -euo pipefail
chromium=$(command -v chromium) || { echo "install Debian's chromium first" >&2; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q playwright==1.65.2 pillow==13.0.0
cd "$work"
cat > page.js <<'JS'
import { Map as MapLibre } from "maplibre-gl";
import { MapboxOverlay } from "@deck.gl/mapbox";
import { ScatterplotLayer } from "@deck.gl/layers";
const map = new MapLibre({ container: "map", center: [10, 47], zoom: 5,
  style: { version: 8, sources: {}, layers: [{ id: "paper", type: "background", paint: { "background-color": "#fff" } }] } });
map.on("style.load", () => {
  const dot = new ScatterplotLayer({ id: "dot", data: [[10, 47]], getPosition: (d) => d, radiusMinPixels: 40,
    getFillColor: [255, 0, 0] });
  map.addControl(new MapboxOverlay({ interleaved: true, layers: [dot] }));
});
JS
echo '<div id="map" style="width:300px;height:300px"></div><script type="module" src="page.out.js"></script>' > page.html
for version in 6.17.0 5.24.1; do
  rm -rf node_modules package.json package-lock.json
  npm init -y >/dev/null
  npm install --silent --no-audit --no-fund maplibre-gl@$version @deck.gl/core@9.4.0 @deck.gl/layers@9.4.0 @deck.gl/mapbox@9.4.0 esbuild@0.28.2 2>/dev/null
  npx esbuild page.js --bundle --format=esm --outfile=page.out.js --log-level=error
  if [ "$version" = 6.17.0 ]; then cp node_modules/maplibre-gl/dist/maplibre-gl-worker.mjs . ; fi
  CHROMIUM="$chromium" env/bin/python - "$version" <<'PY'
import functools, http.server, io, os, sys, threading
from PIL import Image
from playwright.sync_api import sync_playwright
quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory="."))
threading.Thread(target=server.serve_forever, daemon=True).start()
errors = []
with sync_playwright() as play:
    browser = play.chromium.launch(executable_path=os.environ["CHROMIUM"],
        args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"])
    page = browser.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"http://127.0.0.1:{server.server_port}/page.html")
    red = False
    for _ in range(60):  # until the dot is there, or something was thrown
        page.wait_for_timeout(1000)
        red = Image.open(io.BytesIO(page.screenshot())).convert("RGB").getpixel((158, 158)) == (255, 0, 0)
        if red or any("reading 'height'" in error for error in errors):
            break
    browser.close()
thrown = any("reading 'height'" in error for error in errors)
print("maplibre-gl", sys.argv[1], "throws" if thrown else "draws", errors[:1])
assert (thrown, red) == ((True, False) if sys.argv[1].startswith("6.") else (False, True)), errors
PY
done
