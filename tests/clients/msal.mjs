// Microsoft's sign-in library for Node against the emulator over TLS: the address is the only
// argument, and NODE_EXTRA_CA_CERTS names the certificate of the authority.

import { PublicClientApplication } from "@azure/msal-node";

const address = new URL(process.argv[2]);
let checks = 0;
function check(condition, what) {
  if (!condition) throw new Error(`failed: ${what}`);
  checks += 1;
}

const app = new PublicClientApplication({
  auth: {
    clientId: "11111111-2222-4333-8444-555555555555",
    authority: `${address.origin}/bos.example`,
    knownAuthorities: [address.host],
  },
});
const scopes = ["https://graph.microsoft.com/Tasks.ReadWrite", "https://graph.microsoft.com/User.Read"];
const first = await app.acquireTokenByDeviceCode({ scopes, deviceCodeCallback: () => {} });
check(first.account.username === "rook@bos.example", "signed in by device code");
check(scopes.every((scope) => first.scopes.includes(scope)), `the scopes: ${first.scopes}`);
const cached = await app.acquireTokenSilent({ scopes, account: first.account });
check(cached.fromCache && cached.accessToken === first.accessToken, "a token from the cache");
const fresh = await app.acquireTokenSilent({ scopes, account: first.account, forceRefresh: true });
check(!fresh.fromCache, "a refreshed token");

const headers = { Authorization: `Bearer ${fresh.accessToken}` };
const me = await (await fetch(`${address.href}/me`, { headers })).json();
check(me.userPrincipalName === "rook@bos.example", "me");
console.log(`msal for node: ${checks} passed, 0 failed`);
