"""The official MCP client for Python against `planwright mcp`: the program and the address of an
emulator are the arguments.

Both transports and both eras of the protocol: it lists, previews, is denied, has something held that a
person approves at the command line, is paused, sees the list of tools change, and sends what is wrong.
Ends with the number of checks, or with the first that fails.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile

import httpx2
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

PROGRAM, ADDRESS = sys.argv[1], sys.argv[2]
TASK = "Book the room for the customer day"
CONFIG = """
[policies]
always = []
[agents.rook]
may_apply = "approved"
[agents.fern]
"""
CHECKS = 0


def check(condition, what):
    global CHECKS
    if not condition:
        sys.exit(f"failed: {what}")
    CHECKS += 1


class Place:
    """A workspace of its own, and a person who types commands in it."""

    def __init__(self, folder):
        self.folder = folder
        home = os.path.join(folder, "home")
        os.makedirs(home)
        self.env = {
            "HOME": home,
            "PATH": os.environ["PATH"],
            "PLANWRIGHT_GRAPH_URL": ADDRESS,
            "PLANWRIGHT_TOKEN": "emulator:rook@bos.example",
        }
        self.write("planwright.toml", CONFIG)

    def write(self, path, text):
        path = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def run(self, *args):
        command = [PROGRAM, *args]
        ended = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )
        return ended.returncode, ended.stdout, ended.stderr

    def serve(self, agent):
        """Serves over HTTP; returns the process, the address and the token."""
        process = subprocess.Popen(
            [PROGRAM, "mcp", "--as", agent, "--http", "127.0.0.1:0"],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        url = process.stdout.readline().strip()
        token = process.stdout.readline().strip().removeprefix("Authorization: ")
        return process, url, token


def data(result):
    return result.structured_content or {}


def script(progress):
    return f'plan("BOS Operations").task("{TASK}").update(#{{ progress: "{progress}" }});'


async def works(place, client, changed, progress, skill):
    """All that an agent meets, on one connection."""
    names = {tool.name for tool in (await client.list_tools()).tools}
    check({"run_script", "board", "propose_skill"} <= names, f"the tools are there: {names}")
    board = await client.call_tool("board", {"plan": "BOS Operations"})
    check(TASK in board.content[0].text, "the board is shown")
    preview = await client.call_tool("run_script", {"script": script(progress)})
    check(data(preview)["status"] == "previewed", f"a preview: {data(preview)}")
    denied = await client.call_tool(
        "run_script",
        {"script": f'plan("BOS Operations").task("{TASK}").delete();', "apply": True},
    )
    check(denied.is_error and data(denied)["status"] == "denied", "a deletion is denied")

    held = await client.call_tool("run_script", {"script": script(progress), "apply": True})
    check(data(held)["status"] == "held", f"held: {data(held)}")
    pending = data(held)["pending"]
    refused = await client.call_tool("apply_change_set", {"id": pending})
    check(data(refused)["error"]["code"] == "held", "an agent does not apply it")
    waiting = asyncio.create_task(
        client.call_tool("change_set", {"id": pending, "wait_seconds": 30})
    )
    code, _, said = await asyncio.to_thread(place.run, "approve", pending)
    check(code == 0, f"a person approves it: {said}")
    known = await waiting
    check(data(known)["state"] == "applied", f"the agent learns of it: {data(known)}")

    await asyncio.to_thread(place.run, "agent", "pause", "rook")
    paused = await client.call_tool("run_script", {"script": script(progress)})
    check(data(paused)["error"]["code"] == "paused", "a paused agent")
    await asyncio.to_thread(place.run, "agent", "resume", "rook")

    for tool, arguments in [
        ("board", {"plan": "BOS Operations", "limit": -1}),
        ("run_script", {"script": "1", "aply": True}),
        ("change_set", {"id": "x", "wait_seconds": 61}),
    ]:
        wrong = await client.call_tool(tool, arguments)
        check(data(wrong)["error"]["code"] == "parameter", f"wrong arguments: {tool}")
    try:
        await client.call_tool("approve", {"id": pending})
        check(False, "there is no tool to approve")
    except MCPError as error:
        check(error.error.code == -32602, f"no such tool: {error}")

    place.write(f"scripts/skills/{skill}.rhai", "//! Counts.\nplans().len()")
    if changed is not None:
        await asyncio.wait_for(changed.wait(), 30)
    for _ in range(100):
        names = {tool.name for tool in (await client.list_tools()).tools}
        if f"skill_{skill}" in names:
            break
        await asyncio.sleep(0.1)
    check(f"skill_{skill}" in names, "a new skill is a tool")
    read = await client.read_resource(f"planwright://skill/{skill}")
    check("plans()" in read.contents[0].text, "a skill is a resource")
    prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
    check("triage" in prompts, "prompts")


async def bad_messages(place):
    """Lines that are no messages are answered, and the server lives on."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "mcp", "--as", "rook", cwd=place.folder, env=place.env,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )
    for line, code in [("hello", -32700), ("[1]", -32600)]:
        process.stdin.write(f"{line}\n".encode())
        answer = json.loads(await process.stdout.readline())
        check(answer["error"]["code"] == code, f"{line}: {answer}")
    process.stdin.close()
    check(await process.wait() == 0, "it ends when its client leaves")


async def main():
    with tempfile.TemporaryDirectory() as folder:
        place = Place(folder)
        changed = asyncio.Event()

        async def heard(message):
            if "tools/list_changed" in str(getattr(message, "method", "")) or (
                "ToolListChanged" in type(getattr(message, "root", message)).__name__
            ):
                changed.set()

        server = StdioServerParameters(
            command=PROGRAM, args=["mcp", "--as", "rook"], cwd=place.folder, env=place.env
        )
        shown = []

        async def elicited(_context, params):
            # Whoever answers for the person: a yes that must not count.
            shown.append(params.message)
            from mcp_types import ElicitResult

            return ElicitResult(action="accept", content={})

        async with Client(
            server, mode="legacy", message_handler=heard, elicitation_callback=elicited
        ) as client:
            await works(place, client, changed, "completed", "count_one")
        check(any("planwright approve" in text for text in shown), "a held set is shown")
        async with Client(server, mode="auto") as client:
            await works(place, client, None, "in_progress", "count_two")
        process, url, token = place.serve("rook")
        try:
            for mode, progress, skill in [
                ("legacy", "completed", "count_three"),
                ("auto", "in_progress", "count_four"),
            ]:
                async with httpx2.AsyncClient(
                    headers={"Authorization": token}, timeout=60
                ) as http:
                    transport = streamable_http_client(url, http_client=http)
                    async with Client(transport, mode=mode) as client:
                        await works(place, client, None, progress, skill)
            async with httpx2.AsyncClient(timeout=10) as http:
                answer = await http.post(url, json={})
                check(answer.status_code == 401, "nobody comes in without the token")
        finally:
            process.terminate()
            process.wait()
        await bad_messages(place)
        code, _, said = place.run("audit", "verify")
        check(code == 0, f"the audit log is whole: {said}")
    print(f"mcp: {CHECKS} checks")


asyncio.run(main())
