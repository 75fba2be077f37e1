"""rclone, told to take the fake for its remote `fake:` by nothing but environment variables."""

import json


def rclone_environment(credentials, token):
    """What a credentials.json and a token.json hold, as rclone wants to have it."""
    oauth = {"access_token": token["token"], "token_type": "Bearer"}
    oauth |= {key: token[key] for key in ("refresh_token", "expiry")}
    remote = {key: credentials["installed"][key] for key in ("client_id", "client_secret")}
    remote |= {"type": "drive", "scope": "drive.file", "token": json.dumps(oauth)}
    settings = {f"RCLONE_CONFIG_FAKE_{key.upper()}": value for key, value in remote.items()}
    return settings | {"RCLONE_CONFIG": "", "RCLONE_RETRIES": "1"}  # no file, no second try
