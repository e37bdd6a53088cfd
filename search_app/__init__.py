"""Questions of people enter; tables, maps and SQL results leave: the command line and the Streamlit app."""
