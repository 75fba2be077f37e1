"""rclone, told to take the fake for its remote `fake:` by nothing but environment variables."""

import json
from typing import Any


def rclone_environment(credentials: dict[str, Any], token: dict[str, Any]) -> dict[str, str]:
    """What a credentials.json and a token.json hold, as rclone wants to have it."""
    oauth = {
        "access_token": token["token"],
        "refresh_token": token["refresh_token"],
        "token_type": "Bearer",
        "expiry": token["expiry"],
    }
    remote = {
        "TYPE": "drive",
        "SCOPE": "drive.file",
        "CLIENT_ID": credentials["installed"]["client_id"],
        "CLIENT_SECRET": credentials["installed"]["client_secret"],
        "TOKEN": json.dumps(oauth),
    }
    settings = {f"RCLONE_CONFIG_FAKE_{key}": value for key, value in remote.items()}
    return settings | {"RCLONE_CONFIG": ""}  # no file
