"""The frame of every page: navigation on top, the filters under it, then the page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from toolspend_dashboard import data, formats, selection
from toolspend_ingest.errors import StoreError

# The folder is not called `pages`: Streamlit takes one of that name for its own, and until some visitor's script has
# called st.navigation it would run a page that is linked to without this frame.
SCREENS = "screens"
ASSETS = Path(__file__).parent / "assets"
LIVE_EVERY_S = 5
# Streamlit shows a text that stands alone: what follows is no docstring. Pages that the filters apply to:
FILTERED = {"Overview", "Tools", "Audit", "Session"}


@st.fragment(run_every=LIVE_EVERY_S)
def announce_new_data(drawn: data.Revision) -> None:
    """Offer to draw the page again once the store has more than it shows; a page never moves under its reader."""
    label = "New data: show it"
    if data.revision() != drawn and st.button(label, icon=":material/refresh:", type="tertiary", key="refresh"):
        st.rerun(scope="app")


st.set_page_config(page_title="toolspend", page_icon=str(ASSETS / "icon.png"), layout="wide")
mode = "dark" if st.context.theme.type == "dark" else "light"
st.logo(str(ASSETS / f"logo_{mode}.png"), size="medium")
page = st.navigation(
    [
        st.Page(f"{SCREENS}/overview.py", title="Overview", default=True),
        st.Page(f"{SCREENS}/tools.py", title="Tools"),
        st.Page(f"{SCREENS}/audit.py", title="Audit"),
        st.Page(f"{SCREENS}/session.py", title="Session"),
        st.Page(f"{SCREENS}/sql.py", title="SQL"),
        st.Page(f"{SCREENS}/health.py", title="Health"),
    ],
    position="top",
)
try:
    extent = data.extent()
    if page.title in FILTERED and (int(extent["requests"]) or int(extent["calls"])):
        selection.show(page.title)
    if page.title in FILTERED:
        announce_new_data(data.revision())
    page.run()
except StoreError as error:
    # The disk is full, or the file is damaged: its line says what to do, and another run may find it open again.
    st.error(formats.markdown(str(error)))
