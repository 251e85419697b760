// Leads a program that knows only Microsoft's own addresses to the emulator.
//
// `lead(address)` replaces `https.request` and `fetch` of this process: requests to the hosts of
// Graph and of Entra ID go to the emulator in plain http, with the headers of a proxy that ends
// TLS, so that links in answers lead through here again. Requests to any other host, those of
// telemetry for instance, fail at once: nothing leaves the machine.

import http from "node:http";
import https from "node:https";

const hosts = new Set(["graph.microsoft.com", "login.microsoftonline.com"]);

export function lead(address) {
  const requests = [];
  const { hostname, port } = new URL(address);
  const plain = http.request;

  function send(options, answered) {
    if (!hosts.has(options.hostname)) {
      throw new Error(`${options.hostname} is out of bounds`);
    }
    requests.push(`${options.method} ${options.path}`);
    const headers = { ...options.headers, host: options.hostname, "x-forwarded-proto": "https" };
    return plain({ method: options.method, path: options.path, hostname, port, headers }, answered);
  }

  https.request = send;
  globalThis.fetch = (target, options = {}) =>
    new Promise((resolve, reject) => {
      const url = new URL(target);
      const headers = Object.fromEntries(new Headers(options.headers));
      const path = url.pathname + url.search;
      const request = send({ method: options.method ?? "GET", hostname: url.hostname, path, headers }, (answer) => {
        const chunks = [];
        answer.on("data", (chunk) => chunks.push(chunk));
        answer.on("error", reject);
        answer.on("end", () => {
          const body = answer.statusCode === 204 ? null : Buffer.concat(chunks);
          resolve(new Response(body, { status: answer.statusCode, headers: new Headers(answer.headers) }));
        });
      });
      request.on("error", reject);
      request.end(options.body);
    });
  return requests;
}
