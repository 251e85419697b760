// The conformance suite of the Model Context Protocol against `planwright mcp --http`: the suite, the
// program and the address of an emulator are the arguments. The scenarios that need tools, prompts or
// resources of the suite's own sample server are left out, and those for what `mcp` does not offer:
// completion, log levels, subscriptions to resources. The suite knows no tokens, so a small proxy adds
// ours; whatever else the suite sends gets through as it is.
import { execFile } from "node:child_process";
import { createServer, request } from "node:http";
import { end, place, serve } from "./mcp_server.mjs";

const scenarios = [
  "server-initialize",
  "ping",
  "tools-list",
  "resources-list",
  "prompts-list",
  "server-sse-multiple-streams",
  "server-sse-polling",
  "dns-rebinding-protection",
];

const [suite, program, address] = process.argv.slice(2);
const here = place("[agents.rook]\n", address);
let serving;
let proxy;
try {
  serving = await serve(program, here);
  const server = new URL(serving.url);
  const authorization = serving.header.replace(/^Authorization: /i, "");
  proxy = createServer((from, to) => {
    const own = `127.0.0.1:${proxy.address().port}`;
    const named = (value) => value?.replace(own, server.host).replace(own.replace("127.0.0.1", "localhost"), server.host);
    const headers = { ...from.headers, authorization, host: named(from.headers.host) };
    if (headers.origin) headers.origin = named(headers.origin);
    const passed = request(
      { host: server.hostname, port: server.port, path: from.url, method: from.method, headers },
      (answer) => {
        to.writeHead(answer.statusCode, answer.headers);
        answer.pipe(to);
      },
    );
    passed.on("error", () => to.destroy());
    to.on("close", () => passed.destroy());
    from.pipe(passed);
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${proxy.address().port}${server.pathname}`;
  for (const scenario of scenarios) {
    await new Promise((resolve, reject) =>
      execFile(process.execPath, [suite, "server", "--url", url, "--scenario", scenario], { cwd: here.folder }, (failed, stdout, stderr) =>
        failed ? reject(new Error(`${scenario}: ${stdout}${stderr}`)) : resolve(),
      ),
    );
  }
  console.log(`conformance: ${scenarios.length} scenarios`);
} finally {
  proxy?.closeAllConnections();
  proxy?.close();
  await end(here, serving);
}
