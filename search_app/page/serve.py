"""The page and what its map fetches, as one server. Streamlit starts it by path: `streamlit run serve.py`."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from search_app.page.guard import Guard
from search_app.page.map_routes import routes

app = st.App(Path(__file__).with_name("streamlit_app.py"), routes=routes(), middleware=[Middleware(Guard)])
