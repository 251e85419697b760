// A folder with a home and a workspace of its own, and `planwright mcp --http` in it, for clients that no one
// here wrote. It is no client itself.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Makes the folder with its `planwright.toml`, for the emulator at an address. */
export function place(config, address) {
  const folder = mkdtempSync(join(tmpdir(), "planwright-mcp-"));
  mkdirSync(join(folder, "home"));
  writeFileSync(join(folder, "planwright.toml"), config);
  const env = {
    HOME: join(folder, "home"),
    PATH: process.env.PATH,
    PLANWRIGHT_GRAPH_URL: address,
    PLANWRIGHT_TOKEN: "emulator:rook@bos.example",
  };
  return { folder, env };
}

/** Starts the server for the agent rook; `url` and `header` are what it prints. */
export async function serve(program, { folder, env }) {
  const child = spawn(program, ["mcp", "--as", "rook", "--http", "127.0.0.1:0"], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const url = (await lines.next()).value;
  const header = (await lines.next()).value;
  return { child, url, header };
}

/** Ends a server, if one was started, and removes the folder once it writes no more. */
export async function end({ folder }, server) {
  if (server && server.child.exitCode === null) {
    const ended = new Promise((resolve) => server.child.once("exit", resolve));
    server.child.kill();
    await ended;
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
