// The conformance suite of the Model Context Protocol against `planwright mcp --http`: the suite, the
// program and the address of an emulator are the arguments. The scenarios that need tools, prompts or
// resources of the suite's own sample server are left out, and those for what `mcp` does not offer:
// completion, log levels, subscriptions to resources. The suite knows no tokens, so a small proxy adds
// ours; whatever else the suite sends gets through as it is.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

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
const folder = mkdtempSync(join(tmpdir(), "planwright-conformance-"));
mkdirSync(join(folder, "home"));
writeFileSync(join(folder, "planwright.toml"), "[agents.rook]\n");
const env = {
  HOME: join(folder, "home"),
  PATH: process.env.PATH,
  PLANWRIGHT_GRAPH_URL: address,
  PLANWRIGHT_TOKEN: "emulator:rook@bos.example",
};

const serving = spawn(program, ["mcp", "--as", "rook", "--http", "127.0.0.1:0"], {
  cwd: folder,
  env,
  stdio: ["ignore", "pipe", "inherit"],
});
let proxy;
try {
  const lines = createInterface({ input: serving.stdout })[Symbol.asyncIterator]();
  const server = new URL((await lines.next()).value);
  const authorization = (await lines.next()).value.replace(/^Authorization: /i, "");
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
      execFile(process.execPath, [suite, "server", "--url", url, "--scenario", scenario], { cwd: folder }, (failed, stdout, stderr) =>
        failed ? reject(new Error(`${scenario}: ${stdout}${stderr}`)) : resolve(),
      ),
    );
  }
  console.log(`conformance: ${scenarios.length} scenarios`);
} finally {
  proxy?.closeAllConnections();
  proxy?.close();
  // Its files are its own until it has ended.
  if (serving.exitCode === null && serving.signalCode === null) {
    const ended = once(serving, "exit");
    serving.kill();
    await ended;
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
}
