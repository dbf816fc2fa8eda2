"""The command line: parses, calls, prints. Installed as ``ablmargin_cli``."""
