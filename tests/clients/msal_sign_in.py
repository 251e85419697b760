"""Microsoft's sign-in libraries for Python, MSAL and azure-identity, against the emulator over TLS.

The arguments are the address and the file of the authority's certificate. Sign in by device code, by an
authorization code with PKCE and with a secret, take a token from the cache, refresh it, and ask Graph.
"""

import sys
from urllib.parse import parse_qsl, urlsplit

import msal
import requests
from azure.identity import ClientSecretCredential, DeviceCodeCredential

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
flow = app.initiate_auth_code_flow(
    ["Tasks.ReadWrite"], redirect_uri="http://localhost:8400", login_hint="mei@bos.example"
)
came_back = session.get(flow["auth_uri"], allow_redirects=False).headers["Location"]
by_code = app.acquire_token_by_auth_code_flow(flow, dict(parse_qsl(urlsplit(came_back).query)))
check("access_token" in by_code, f"a token for a code: {by_code}")
check(by_code["id_token_claims"]["preferred_username"] == "mei@bos.example", "whose it is")

APPLICATION = "0f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f"
service = msal.ConfidentialClientApplication(
    APPLICATION,
    client_credential="emulator-secret",
    authority=f"{origin}/bos.example",
    instance_discovery=False,
    http_client=session,
)
of_service = service.acquire_token_for_client(["https://graph.microsoft.com/.default"])
check("access_token" in of_service, f"a token for a secret: {of_service}")
print(f"msal for python: {CHECKS} passed, 0 failed")

CHECKS = 0
options = {
    "tenant_id": "bos.example",
    "authority": origin,
    "disable_instance_discovery": True,
    "connection_verify": authority,
}
credential = DeviceCodeCredential(
    "11111111-2222-4333-8444-555555555555", prompt_callback=lambda *_: None, **options
)
token = credential.get_token("https://graph.microsoft.com/User.Read")
me = session.get(f"{address}/me", headers={"Authorization": "Bearer " + token.token}).json()
check(me["userPrincipalName"] == "rook@bos.example", "signed in by device code")
again = credential.get_token("https://graph.microsoft.com/User.Read")
check(again.token == token.token, "a token from the cache")
credential = ClientSecretCredential(
    client_id=APPLICATION, client_secret="emulator-secret", **options
)
token = credential.get_token("https://graph.microsoft.com/.default").token
groups = session.get(f"{address}/groups", headers={"Authorization": "Bearer " + token}).json()
check(groups["value"], "groups, read by an application")
print(f"azure-identity: {CHECKS} passed, 0 failed")
