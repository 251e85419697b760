// Microsoft's sign-in library for Node against the emulator over TLS: the address is the only
// argument, and NODE_EXTRA_CA_CERTS names the certificate of the authority.

import { ConfidentialClientApplication, CryptoProvider, PublicClientApplication } from "@azure/msal-node";

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

const { verifier, challenge } = await new CryptoProvider().generatePkceCodes();
const redirectUri = "http://localhost:8400";
const url = await app.getAuthCodeUrl({
  scopes,
  redirectUri,
  codeChallenge: challenge,
  codeChallengeMethod: "S256",
  loginHint: "mei@bos.example",
});
const cameBack = (await fetch(url, { redirect: "manual" })).headers.get("location");
const code = new URL(cameBack).searchParams.get("code");
const byCode = await app.acquireTokenByCode({ code, scopes, redirectUri, codeVerifier: verifier });
check(byCode.account.username === "mei@bos.example", "signed in by a code with PKCE");

const service = new ConfidentialClientApplication({
  auth: {
    clientId: "0f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f",
    clientSecret: "emulator-secret",
    authority: `${address.origin}/bos.example`,
    knownAuthorities: [address.host],
  },
});
const ofService = await service.acquireTokenByClientCredential({ scopes: ["https://graph.microsoft.com/.default"] });
check(ofService.accessToken.length > 0, "a token for a secret");
console.log(`msal for node: ${checks} passed, 0 failed`);
