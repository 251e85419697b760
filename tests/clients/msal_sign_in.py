"""Microsoft's sign-in library for Python against the emulator over TLS.

The arguments are the address and the file of the authority's certificate. Signs in by device code,
takes a token from the cache, refreshes it, and asks Graph with it.
"""

import sys
from urllib.parse import urlsplit

import msal
import requests

CHECKS = 0


def check(condition, what):
    global CHECKS
    if not condition:
        sys.exit(f"failed: {what}")
    CHECKS += 1


address, authority = sys.argv[1:]
origin = "https://" + urlsplit(address).netloc
session = requests.Session()
session.trust_env = False
session.verify = authority

app = msal.PublicClientApplication(
    "11111111-2222-4333-8444-555555555555",
    authority=f"{origin}/bos.example",
    instance_discovery=False,
    http_client=session,
)
flow = app.initiate_device_flow(scopes=["Tasks.ReadWrite", "User.Read", "Mail.Read"])
check("device_code" in flow, f"a device code: {flow}")
first = app.acquire_token_by_device_flow(flow)
check("access_token" in first, f"a token: {first}")
check("Mail.Read" in first["scope"], "a scope of another part of Graph")
account = app.get_accounts()[0]
check(account["username"] == "rook@bos.example", "the account")
cached = app.acquire_token_silent(["Tasks.ReadWrite"], account=account)
check(cached["access_token"] == first["access_token"], "a token from the cache")
fresh = app.acquire_token_silent(["User.Read"], account=account, force_refresh=True)
check("access_token" in fresh, f"a refreshed token: {fresh}")
headers = {"Authorization": "Bearer " + fresh["access_token"]}
me = session.get(f"{address}/me", headers=headers).json()
check(me["userPrincipalName"] == "rook@bos.example", "me")
tasks = session.get(f"{address}/me/planner/tasks", headers=headers)
check(tasks.headers["Content-Encoding"] == "gzip" and tasks.json()["value"], "tasks, compressed")
print(f"msal for python: {CHECKS} passed, 0 failed")
