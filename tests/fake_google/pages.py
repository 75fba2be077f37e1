"""The pages that a person gets to see."""

from html import escape

from .messages import Reply

SCOPES = {
    "https://www.googleapis.com/auth/drive.file": (
        "See, edit, create and delete only the specific Google Drive files that you use with it"
    ),
    "https://www.googleapis.com/auth/drive": (
        "See, edit, create and delete all of your Google Drive files"
    ),
    "https://www.googleapis.com/auth/drive.readonly": (
        "See and download all your Google Drive files"
    ),
    "https://www.googleapis.com/auth/drive.appdata": (
        "See, create and delete its own configuration data in your Google Drive"
    ),
}

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; background: #eef1f6; color: #1f2328;
  margin: 0; display: grid; place-items: center; min-height: 100vh }
main { background: #fff; border-radius: 1.5rem; padding: 2.5rem; max-width: 27rem; margin: 1rem }
h1 { font-size: 1.5rem; font-weight: 500; line-height: 1.25; margin: 0 0 .5rem }
.fake { background: #fff3cd; color: #664d03; border-radius: .75rem; padding: .75rem 1rem;
  margin: 0 0 1.75rem; font-size: .875rem }
.account { display: inline-block; border: 1px solid #c4c7c5; border-radius: 1rem;
  padding: .1rem .9rem; margin: .5rem 0 1.25rem }
ul { padding-left: 1.2rem; margin: .5rem 0 2rem }
code { overflow-wrap: anywhere; font-size: .85em }
form { display: flex; gap: .75rem; justify-content: flex-end }
button { font: inherit; font-weight: 500; border-radius: 1.25rem; padding: .5rem 1.5rem;
  border: 1px solid #0b57d0; background: none; color: #0b57d0; cursor: pointer }
button[value=allow] { background: #0b57d0; color: #fff }
@media (prefers-color-scheme: dark) {
  body { background: #131314; color: #e3e3e3 } main { background: #1e1f20 }
  button { border-color: #a8c7fa; color: #a8c7fa }
  button[value=allow] { background: #a8c7fa; color: #062e6f } }
"""


def page(title: str, body: str, status: int = 200) -> Reply:
    text = f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<title>{escape(title)} (fake)</title>
<style>{STYLE}</style>
<main>
<p class="fake"><strong>This is a fake for tests.</strong>
It is not Google, and no real Google account is involved.</p>
<h1>{escape(title)}</h1>
{body}
</main>
</html>
"""
    return Reply(status, text.encode(), {"Content-Type": "text/html; charset=UTF-8"})


def consent(user: str, client_id: str, scopes: str, query: str) -> Reply:
    wishes = "".join(f"<li>{escape(SCOPES.get(scope, scope))}</li>" for scope in scopes.split())
    return page(
        "Quickstart wants access to your Google Account",
        f"""<p class="account">{escape(user)}</p>
<p>This will allow <strong>Quickstart</strong> to:</p>
<ul>{wishes}</ul>
<p><small>Client: <code>{escape(client_id)}</code></small></p>
<form method="post" action="?{escape(query)}">
<button name="decision" value="deny">Cancel</button>
<button name="decision" value="allow">Allow</button>
</form>""",
    )


def waiting() -> Reply:
    return page("Somebody is thinking it over", "<p>Nothing is going to happen here.</p>")


def error(code: str, text: str) -> Reply:
    body = f"<p>{escape(text)}</p><p><code>Error 400: {escape(code)}</code></p>"
    return page("Access blocked: the request is invalid", body, 400)
