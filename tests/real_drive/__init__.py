"""A check on a real Google account: `python -m tests.real_drive`. See __main__.py."""
