// The MCP Inspector's command line against `planwright mcp`: the Inspector, the program and the address
// of an emulator are the arguments. Both transports.
import { execFileSync } from "node:child_process";
import { end, place, serve } from "./mcp_server.mjs";

const [inspector, program, address] = process.argv.slice(2);
const here = place('[policies]\nalways = []\n[agents.rook]\nmay_apply = "approved"\n', address);
const { folder, env } = here;
let checks = 0;
function check(condition, what) {
  if (!condition) throw new Error(`failed: ${what}`);
  checks += 1;
}
function run(command, args) {
  return execFileSync(command, args, { cwd: folder, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
function ask(server, method, ...more) {
  return JSON.parse(run(process.execPath, [inspector, "--cli", ...server, "--method", method, ...more]));
}
function call(server, tool, args) {
  const given = Object.entries(args).flatMap(([name, value]) => ["--tool-arg", `${name}=${value}`]);
  return ask(server, "tools/call", "--tool-name", tool, ...given);
}

const script = (progress) =>
  `plan("BOS Operations").task("Book the room for the customer day").update(#{ progress: "${progress}" });`;

function works(server, progress) {
  const names = ask(server, "tools/list").tools.map((tool) => tool.name);
  check(names.includes("run_script") && names.includes("propose_skill"), `the tools are there: ${names}`);
  const preview = call(server, "run_script", { script: script(progress) });
  check(preview.structuredContent.status === "previewed", "a preview");
  const held = call(server, "run_script", { script: script(progress), apply: true });
  check(held.structuredContent.status === "held", "held");
  const id = held.structuredContent.pending;
  run(program, ["approve", id]);
  const known = call(server, "change_set", { id });
  check(known.structuredContent.state === "applied", "the agent learns of it");
  const resources = ask(server, "resources/list").resources;
  check(resources.some((one) => one.uri.startsWith("planwright://plan/")), "plans are resources");
  check(ask(server, "prompts/list").prompts.length > 0, "prompts");
}

let serving;
try {
  // The Inspector hands a server only the variables that it is told to.
  const given = ["PLANWRIGHT_GRAPH_URL", "PLANWRIGHT_TOKEN"].flatMap((name) => ["-e", `${name}=${env[name]}`]);
  works([...given, program, "mcp", "--as", "rook"], "completed");
  serving = await serve(program, here);
  works([serving.url, "--transport", "http", "--header", serving.header], "in_progress");
  console.log(`inspector: ${checks} checks`);
} finally {
  await end(here, serving);
}
