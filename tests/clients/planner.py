"""Microsoft's Graph SDK for Python against the emulator: the address is the only argument.

Creates, reads, lists, updates and deletes with ETags, and meets the refusals that the protocol
promises. Ends with the number of checks, or with the first that fails.
"""

import asyncio
import sys

from kiota_abstractions.api_error import APIError
from kiota_abstractions.authentication import AuthenticationProvider
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphServiceClient
from msgraph.generated.models.planner_bucket import PlannerBucket
from msgraph.generated.models.planner_bucket_task_board_task_format import (
    PlannerBucketTaskBoardTaskFormat,
)
from msgraph.generated.models.planner_container_type import PlannerContainerType
from msgraph.generated.models.planner_plan import PlannerPlan
from msgraph.generated.models.planner_plan_container import PlannerPlanContainer
from msgraph.generated.models.planner_plan_details import PlannerPlanDetails
from msgraph.generated.models.planner_category_descriptions import PlannerCategoryDescriptions
from msgraph.generated.models.planner_task import PlannerTask
from msgraph.generated.models.planner_task_details import PlannerTaskDetails
from msgraph.graph_request_adapter import GraphRequestAdapter

CHECKS = 0


def check(condition, what):
    global CHECKS
    if not condition:
        sys.exit(f"failed: {what}")
    CHECKS += 1


class SignedIn(AuthenticationProvider):
    async def authenticate_request(self, request, additional_authentication_context=None):
        request.headers.add("Authorization", "Bearer emulator:rook@bos.example")


def tag(entity):
    return entity.additional_data["@odata.etag"]


def on(etag, represent=True):
    configuration = RequestConfiguration()
    if etag is not None:
        configuration.headers.add("If-Match", etag)
    if represent:
        configuration.headers.add("Prefer", "return=representation")
    return configuration


async def refused(awaitable, status, what):
    try:
        await awaitable
    except APIError as error:
        check(error.response_status_code == status, f"{what}: {error.response_status_code}")
        return
    sys.exit(f"failed: {what} was not refused")


async def main(address):
    adapter = GraphRequestAdapter(SignedIn())
    adapter.base_url = address
    graph = GraphServiceClient(request_adapter=adapter)
    planner = graph.planner

    me = await graph.me.get()
    check(me.user_principal_name == "rook@bos.example", "me")
    groups = await graph.me.member_of.get()
    group = next(it for it in groups.value if it.display_name == "BOS")

    mine = await graph.me.planner.plans.get()
    demo = next(it for it in mine.value if it.title == "BOS Operations")
    builder = planner.plans.by_planner_plan_id(demo.id).tasks
    page = await builder.get()
    ids = {it.id for it in page.value}
    check(len(ids) == 10, "a page")
    while page.odata_next_link:
        page = await builder.with_url(page.odata_next_link).get()
        ids |= {it.id for it in page.value}
    check(len(ids) == 30, "every page")

    plan = await planner.plans.post(
        PlannerPlan(
            title="Made by the SDK",
            container=PlannerPlanContainer(container_id=group.id, type=PlannerContainerType.Group),
        )
    )
    check(len(plan.id) == 28, "the id of a plan")
    plans = planner.plans.by_planner_plan_id(plan.id)
    renamed = await plans.patch(PlannerPlan(title="Renamed"), request_configuration=on(tag(plan)))
    check(renamed.title == "Renamed" and tag(renamed) > tag(plan), "a newer tag is greater")

    details = await plans.details.get()
    names = PlannerCategoryDescriptions(category3="Blocked")
    details = await plans.details.patch(
        PlannerPlanDetails(category_descriptions=names), request_configuration=on(tag(details))
    )
    check(details.category_descriptions.category3 == "Blocked", "a label has a name")
    await refused(
        plans.details.patch(
            PlannerPlanDetails(category_descriptions=names), request_configuration=on(tag(renamed))
        ),
        412,
        "the plan's tag on its details",
    )

    bucket = await planner.buckets.post(
        PlannerBucket(name="Todo", plan_id=plan.id, order_hint=" !")
    )
    buckets = planner.buckets.by_planner_bucket_id(bucket.id)
    bucket = await buckets.patch(PlannerBucket(name="To do"), request_configuration=on(tag(bucket)))
    check(bucket.name == "To do", "a bucket is renamed")

    task = await planner.tasks.post(
        PlannerTask(title="Order anodes", plan_id=plan.id, bucket_id=bucket.id, priority=3)
    )
    check((task.percent_complete, task.priority) == (0, 3), "a new task")
    tasks = planner.tasks.by_planner_task_id(task.id)
    await refused(
        tasks.patch(PlannerTask(title="x"), request_configuration=on(None)), 412, "no tag"
    )
    await refused(tasks.patch(PlannerTask(title="x"), request_configuration=on("*")), 400, "any tag")
    done = await tasks.patch(PlannerTask(percent_complete=50), request_configuration=on(tag(task)))
    check(done.percent_complete == 50, "progress")
    # The same stale tag: another field is fine, the same field is not.
    other = await tasks.patch(PlannerTask(priority=9), request_configuration=on(tag(task)))
    check((other.percent_complete, other.priority) == (50, 9), "a stale tag on another field")
    await refused(
        tasks.patch(PlannerTask(percent_complete=100), request_configuration=on(tag(task))),
        409,
        "a stale tag on the same field",
    )
    nothing = await tasks.patch(
        PlannerTask(priority=1), request_configuration=on(tag(other), represent=False)
    )
    check(nothing is None, "no content without Prefer")

    task_details = await tasks.details.get()
    described = await tasks.details.patch(
        PlannerTaskDetails(description="Zinc"), request_configuration=on(tag(task_details))
    )
    check(described.description == "Zinc", "a description")
    fresh = await tasks.get()
    check(fresh.has_description and tag(fresh) > tag(other), "details move the task's tag")
    await refused(tasks.delete(request_configuration=on(tag(other))), 409, "deleting on a stale tag")

    board = await tasks.bucket_task_board_format.get()
    moved = await tasks.bucket_task_board_format.patch(
        PlannerBucketTaskBoardTaskFormat(order_hint=" !"), request_configuration=on(tag(board))
    )
    check(moved.order_hint and not moved.order_hint.endswith("!"), "a final hint")

    listed = await plans.tasks.get()
    check([it.id for it in listed.value] == [task.id], "the tasks of a plan")
    in_bucket = await buckets.tasks.get()
    check(len(in_bucket.value) == 1, "the tasks of a bucket")

    await tasks.delete(request_configuration=on(tag(fresh)))
    await refused(tasks.get(), 404, "a deleted task")
    bucket = await buckets.get()
    await buckets.delete(request_configuration=on(tag(bucket)))
    plan = await plans.get()
    await plans.delete(request_configuration=on(tag(plan)))
    await refused(plans.get(), 404, "a deleted plan")


asyncio.run(main(sys.argv[1]))
print(f"python: {CHECKS} passed, 0 failed")
