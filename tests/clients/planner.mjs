// Microsoft's Graph client for JavaScript against the emulator: the address is the only argument.
// Works with raw JSON, so it sees pages, batches and errors as they are sent.

import { Client, HTTPMessageHandler } from "@microsoft/microsoft-graph-client";

const address = new URL(process.argv[2]);
const token = "Bearer emulator:rook@bos.example";
// The client's own handler signs https requests only.
class SignedIn {
  async execute(context) {
    context.options.headers = { ...context.options.headers, Authorization: token };
    await this.next.execute(context);
  }
  setNext(next) {
    this.next = next;
  }
}
const middleware = new SignedIn();
middleware.setNext(new HTTPMessageHandler());
const client = Client.initWithMiddleware({
  baseUrl: `${address.origin}/`,
  defaultVersion: "v1.0",
  middleware,
});
const api = (path) => client.api(path);

let checks = 0;
function check(condition, what) {
  if (!condition) throw new Error(`failed: ${what}`);
  checks += 1;
}

async function refused(promise, status, what) {
  try {
    await promise;
  } catch (error) {
    check(error.statusCode === status, `${what}: ${error.statusCode} ${error.message}`);
    return error;
  }
  throw new Error(`failed: ${what} was not refused`);
}

const groups = await api("/me/memberOf").get();
const group = groups.value.find((it) => it.displayName === "BOS");
const plan = await api("/planner/plans").post({
  container: { url: `https://graph.microsoft.com/v1.0/groups/${group.id}` },
  title: "Made by the client",
});
const bucket = await api("/planner/buckets").post({ name: "Todo", planId: plan.id, orderHint: " !" });

const made = [];
for (let n = 0; n < 25; n += 1) {
  made.push(await api("/planner/tasks").post({ planId: plan.id, bucketId: bucket.id, title: `T${n}` }));
}
const first = await api(`/planner/plans/${plan.id}/tasks`).get();
const seen = new Set(first.value.map((it) => it.id));
// The client's own iterator takes https links only.
for (let page = first; page["@odata.nextLink"]; ) {
  page = await api(page["@odata.nextLink"].slice(`${address.origin}/v1.0`.length)).get();
  page.value.forEach((it) => seen.add(it.id));
}
check(seen.size === 25, "every task on every page");
check(first.value.length === 10 && first["@odata.count"] === 10, "the count is the page's");
check(first["@odata.nextLink"].startsWith(address.origin), "the next page is at this address");

const task = made[0];
const path = `/planner/tasks/${task.id}`;
const etag = task["@odata.etag"];
const none = await refused(api(path).patch({ title: "x" }), 412, "no tag");
check(none.message === "The If-Match header must be specified for this kind of request.", "its text");
await refused(api(`${path}/details`).header("If-Match", etag).patch({ description: "x" }), 412, "the task's tag on its details");
const echoed = await refused(
  api(path).header("If-Match", etag).patch({ orderHint: task.orderHint }), 400, "an echoed hint");
check(echoed.message.includes("does not contain spaces or exclamation points"), "its text");
await refused(api(path).header("If-Match", etag).patch({ assignments: { me: {} } }), 400, "an untyped assignment");
await refused(api("/planner/plans").get(), 400, "all plans");

const updated = await api(path)
  .header("If-Match", etag)
  .header("Prefer", "return=representation")
  .patch({
    percentComplete: 100,
    appliedCategories: { category3: true },
    assignments: { me: { "@odata.type": "#microsoft.graph.plannerAssignment", orderHint: " !" } },
  });
check(updated.completedDateTime && updated.completedBy.user.id, "completion is computed");
check(Object.keys(updated.assignments).length === 1 && !updated.assignments.me, "me is replaced");

const details = await api(`${path}/details`).get();
const key = "https%3A//parts%2Eexample%2Eorg/M24%2Epdf";
const described = await api(`${path}/details`)
  .header("If-Match", details["@odata.etag"])
  .header("Prefer", "return=representation")
  .patch({
    checklist: { 20886: { "@odata.type": "#microsoft.graph.plannerChecklistItem", title: "Measure" } },
    references: { [key]: { "@odata.type": "#microsoft.graph.plannerExternalReference", alias: "Sheet" } },
  });
check(described.checklist["20886"].isChecked === false && described.references[key], "details merge");

const batch = await api("/$batch").post({
  requests: [
    { id: "a", method: "GET", url: `${path}/details` },
    {
      id: "b", method: "PATCH", url: `/planner/tasks/${made[1].id}`, body: { percentComplete: 50 },
      headers: { "Content-Type": "application/json", "If-Match": made[1]["@odata.etag"] },
    },
    { id: "c", method: "DELETE", url: `/planner/tasks/${made[2].id}`, headers: { "If-Match": "W/\"x\"" } },
  ],
});
const answers = Object.fromEntries(batch.responses.map((it) => [it.id, it.status]));
check(answers.a === 200 && answers.b === 204 && answers.c === 412, `a batch: ${JSON.stringify(answers)}`);

const now = await api(`/planner/plans/${plan.id}`).get();
await api(`/planner/plans/${plan.id}`).header("If-Match", now["@odata.etag"]).delete();
await refused(api(path).get(), 404, "a task of a deleted plan");

console.log(`javascript: ${checks} passed, 0 failed`);
