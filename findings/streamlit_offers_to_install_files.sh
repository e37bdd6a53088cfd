#!/usr/bin/env bash
# Guess: a page shows what its script draws, and clicks in it do what the script says.
# Surprise: where the home of whoever started the app holds a folder of a coding agent, Streamlit lays its own note over
# the page, "Help agents write better apps", with a button that writes a folder into that of the app's script. Only
# `server.headless=true` takes away both; `logger.hideWelcomeMessage=true` the note alone.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q streamlit==1.67.0
mkdir -p "$work/home/.cursor" "$work/app"
touch "$work/app/app.py"
cd "$work/app"
HOME="$work/home" "$work/env/bin/python" - "$work/app" <<'PY' 2>/dev/null
import sys
from pathlib import Path
import streamlit as st
from streamlit import config
from streamlit.web import skills
app = Path(sys.argv[1])
print("streamlit", st.__version__)
def withheld(**options):
    for name, value in {"server.headless": False, "logger.hideWelcomeMessage": False, **options}.items():
        config.set_option(name, value)
    reason = skills.nudge_suppression_reason(str(app))
    print(f"{options or 'as it comes'}: {'the note is shown' if not reason else f'no note ({reason})'}")
    return reason
assert withheld() == ""
assert withheld(**{"logger.hideWelcomeMessage": True}) == "welcome_hidden"
assert withheld(**{"server.headless": True}) == "headless"
before = {path for path in app.rglob("*")}
skills.install_skills(global_mode=False, yes=True, app_dir=str(app))
written = sorted(str(path.relative_to(app)) for path in {path for path in app.rglob("*")} - before)
print("what its button does adds to the folder of the app:", ", ".join(written[:3]))
assert ".agents/skills" in written
PY
