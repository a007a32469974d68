"""The dashboard, its server and the command line."""
