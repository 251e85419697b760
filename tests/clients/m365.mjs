// The CLI for Microsoft 365, a program of its own, against the emulator: the address is the only
// argument. It signs in through Microsoft's own library (device code), and each command is run as
// its documentation says, `executeCommand` being its interface for other programs.
//
// HOME is where it keeps its tokens; the caller names an empty folder.

import { lead } from "./loopback.mjs";

const requests = lead(process.argv[2]);
const { executeCommand } = await import("@pnp/cli-microsoft365");

let checks = 0;
function check(condition, what) {
  if (!condition) throw new Error(`failed: ${what}`);
  checks += 1;
}

/** Runs a command and returns what it printed, read as JSON. */
async function m365(name, options = {}) {
  try {
    const { stdout } = await executeCommand(name, { output: "json", ...options });
    return stdout ? JSON.parse(stdout) : undefined;
  } catch (failure) {
    throw new Error(`m365 ${name}: ${failure.error?.message ?? failure}`);
  }
}

async function refused(promise, text, what) {
  try {
    await promise;
  } catch (error) {
    check(error.message.includes(text), `${what}: ${error.message}`);
    return;
  }
  throw new Error(`failed: ${what} was not refused`);
}

for (const key of ["disableTelemetry", "prompt"]) {
  await executeCommand("cli config set", { key, value: String(key !== "prompt"), output: "json" });
}
await m365("login", { authType: "deviceCode", appId: "0f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f", tenant: "common" });
check((await m365("status")).connectedAs === "rook@bos.example", "signed in by device code");

// Plans: of a group by its name, renamed, shared, labelled.
const group = { ownerGroupName: "BOS" };
check((await m365("planner plan list", group)).some((it) => it.title === "BOS Operations"), "the demo's plan");
const plan = await m365("planner plan add", { ...group, title: "Refit", shareWithUserNames: "mei@bos.example" });
check(Object.keys(plan.sharedWith).length === 2, "a plan shared at once");
await m365("planner plan set", { id: plan.id, newTitle: "Winter refit", category1: "Urgent", category25: "Paint" });
const renamed = await m365("planner plan get", { title: "winter REFIT", ...group });
check(renamed.id === plan.id && renamed.title === "Winter refit", "found by its new name");
check(renamed.categoryDescriptions.category25 === "Paint", "labels beside the title");

// Buckets.
const planId = plan.id;
const todo = await m365("planner bucket add", { name: "Todo", planId });
await m365("planner bucket add", { name: "Spare", planId, orderHint: " !" });
await m365("planner bucket set", { id: todo.id, newName: "To do" });
await m365("planner bucket remove", { name: "Spare", planId, force: true });
const buckets = await m365("planner bucket list", { planTitle: "Winter refit", ...group });
check(buckets.length === 1 && buckets[0].name === "To do", "buckets come and go");
check((await m365("planner bucket get", { name: "to do", planId })).id === todo.id, "a bucket by its name");

// Tasks: twelve, so that a list has two pages.
const task = await m365("planner task add", {
  title: "Book crane", planId, bucketName: "To do", description: "Ask yard A", priority: "Urgent",
  assignedToUserNames: "mei@bos.example", appliedCategories: "category1", dueDateTime: "2026-12-24T10:00:00Z",
  previewType: "checklist",
});
check(task.description === "Ask yard A" && task.bucketId === todo.id, "a task with its description");
for (let n = 0; n < 11; n += 1) {
  await m365("planner task add", { title: `T${n}`, planId, bucketId: todo.id });
}
const from = requests.length;
const listed = await m365("planner task list", { planId });
check(listed.length === 12, `all pages: ${listed.length}`);
check(requests.slice(from).filter((it) => it.includes("skiptoken")).length === 2, "a page behind, in both versions");
check(listed.find((it) => it.id === task.id).priority === 1, "the priority comes from the beta");
await m365("planner task set", {
  id: task.id, title: "Book the crane", percentComplete: "50", description: "Ask yard B", priority: "Low",
  assignedToUserNames: "rook@bos.example", appliedCategories: "category3",
});
const changed = await m365("planner task get", { id: task.id });
check(changed.title === "Book the crane" && changed.percentComplete === 50, "changed fields");
check(changed.description === "Ask yard B" && changed.priority === 9, "and the description");
check(changed.appliedCategories.category3 && changed.appliedCategories.category1, "labels merge");
check(Object.keys(changed.assignments).length === 2, "people are added");
check((await m365("planner task list")).some((it) => it.id === task.id), "among my own tasks");

// Checklist and references: keys that this program chooses, and encodes.
const taskId = task.id;
await m365("planner task checklistitem add", { taskId, title: "Measure", isChecked: true });
await m365("planner task checklistitem add", { taskId, title: "Order" });
const items = Object.entries(await m365("planner task checklistitem list", { taskId }));
check(items.length === 2 && items.find(([, it]) => it.title === "Measure")[1].isChecked, "two items");
await m365("planner task checklistitem remove", { taskId, id: items[0][0], force: true });
check(Object.keys(await m365("planner task checklistitem list", { taskId })).length === 1, "one item");
const url = "https://parts.example.org/a%20b/M24.pdf?x=1#top";
await m365("planner task reference add", { taskId, url, alias: "Anodes", type: "Other" });
await m365("planner task reference add", { taskId, url: "https://example.org", alias: "Yard" });
check(Object.keys(await m365("planner task reference list", { taskId })).length === 2, "two references");
await m365("planner task reference remove", { taskId, alias: "Yard", force: true });
await m365("planner task reference remove", { taskId, url, force: true });
check(Object.keys(await m365("planner task reference list", { taskId })).length === 0, "removed by alias and by address");
const counted = await m365("planner task get", { id: taskId });
check(counted.checklistItemCount === 1 && counted.referenceCount === 0, "what the task counts");

// Rosters, which are in the beta.
const roster = await m365("planner roster add");
const rosterId = roster.id;
const ours = await m365("planner plan add", { rosterId, title: "Ours" });
await refused(m365("planner plan add", { rosterId, title: "Second" }), "1 plan", "a second plan in a roster");
await m365("planner roster member add", { rosterId, userName: "mei@bos.example" });
check((await m365("planner roster member list", { rosterId })).length === 2, "two members");
check((await m365("planner roster plan list")).some((it) => it.id === ours.id), "plans of my rosters");
check((await m365("planner plan get", { rosterId })).title === "Ours", "the plan of a roster");
await m365("planner roster member remove", { rosterId, userName: "mei@bos.example", force: true });
await m365("planner roster remove", { id: rosterId, force: true });
await refused(m365("planner plan get", { id: ours.id }), "not found", "the plan of a roster that is gone");

await m365("planner task remove", { id: taskId, force: true });
await refused(m365("planner task get", { id: taskId }), "not found", "a task that is gone");
await m365("planner plan remove", { title: "Winter refit", ...group, force: true });
check(!(await m365("planner plan list", group)).some((it) => it.id === planId), "a plan that is gone");

console.log(`m365: ${checks} passed, 0 failed`);
// It would wait for its telemetry.
process.exit(0);
