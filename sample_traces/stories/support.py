"""A support agent of a web shop, as two services run it: one caches its prompt, the other does not."""

from __future__ import annotations

from typing import Any

from anthropic import AsyncAnthropic

import toolspend
from stories import world
from stories.case import Case
from stories.telemetry import agent_run
from stories.toolbox import ToolRegistry, execute_tool_calls_parallel, number, text

MODEL = "claude-haiku-4-5"
SYSTEM = f"""You answer the customers of a mail-order shop for outdoor gear. Be brief, friendly and exact. Look up the \
order before you say anything about it. Never promise a refund that the policy does not allow; open a return instead. \
Hand over to a colleague when a customer asks for one, or after two failed attempts to help.

The shop's policies, in full:
{world.prose(11_000, "policies")}"""

registry = ToolRegistry()

ORDER = {"order_id": text("Order number, six digits, without prefix.")}


@registry.tool("Look up an order: items, prices, payment, addresses, and the state of each parcel.", "orders", **ORDER)
async def get_order(order_id: str) -> str:
    await world.wait(0.18, "order", order_id)
    items = {"sku": "GEAR-{n}", "title": ["Tent Alta 2", "Down jacket", "Stove"], "qty": (1, 3), "price": (9.9, 420.0)}
    return world.as_json({"order_id": order_id, "items": world.records(5, items, order_id), "paid_with": "invoice"})


@registry.tool(
    "All events of a parcel from the carrier, newest first, with place and time.",
    "orders",
    tracking_id=text("The carrier's number."),
)
async def track_parcel(tracking_id: str) -> str:
    await world.wait(0.75, "parcel", tracking_id)
    events = {"at": "2026-11-{n}", "place": ["Hub Kassel", "Depot 17", "Customs"], "state": ["in transit", "sorted"]}
    return world.as_json(world.records(14, events, tracking_id))


@registry.tool(
    "Search the help centre and return the best articles in full.",
    "knowledge",
    query=text("What the customer wants to know."),
    count=number("How many articles.", default=4),
)
async def search_help_centre(query: str, count: int = 4) -> str:
    await world.wait(0.32, "help", query)
    return "\n\n---\n\n".join(world.page(2_600, query, index) for index in range(count))


@registry.tool(
    "The customer's profile: contact, language, past orders, open tickets, loyalty tier, notes by colleagues.",
    "customers",
    customer_id=text("Customer number."),
)
async def get_customer(customer_id: str) -> str:
    await world.wait(0.15, "customer", customer_id)
    orders = {"order_id": "{n}", "total": (12.0, 900.0), "state": ["delivered", "returned", "open"], "note": "{hex}"}
    return world.as_json({"customer_id": customer_id, "orders": world.records(18, orders, customer_id)})


@registry.tool(
    "Open a return for items of an order and send the label to the customer. Cannot be undone.",
    "orders",
    **ORDER,
    skus={"type": "array", "items": {"type": "string"}, "description": "Which items."},
    reason=text("damaged, wrong_item, too_small, too_large, changed_mind"),
)
async def open_return(order_id: str, skus: list[str], reason: str) -> str:
    await world.wait(0.4, "return", order_id)
    return f"Return R-{order_id} opened for {', '.join(skus)}; label sent."


@registry.tool("Change the delivery address of an order that has not left the warehouse.", "orders", **ORDER)
async def change_address(order_id: str) -> str:
    raise PermissionError("the parcel has left the warehouse")


@registry.tool("Hand the conversation to a colleague with a summary.", summary=text("Two sentences."))
async def hand_over(summary: str) -> str:
    return "A colleague takes over within two hours."


@registry.tool("Stock of an item in every warehouse and the date of the next delivery.", "orders", sku=text("Item."))
async def check_stock(sku: str) -> str:
    await world.wait(0.2, "stock", sku)
    return world.as_json(world.records(4, {"warehouse": ["Kassel", "Lyon"], "stock": (0, 60)}, sku))


toolspend.instrument(registry=registry, executor=execute_tool_calls_parallel)


async def converse(client: AsyncAnthropic, case: Case, *, is_cached: bool) -> str:
    """One conversation of several messages; with `is_cached`, the API caches what each request repeats."""
    caching: dict[str, Any] = {"cache_control": {"type": "ephemeral"}} if is_cached else {}
    tools: Any = registry.get_tool_definitions(registry.get_tools_for_task())
    messages: list[Any] = []
    reply = ""
    with toolspend.session(case.session, user=case.user, tags=list(case.tags)):
        for number_, message in enumerate(case.messages):
            if number_:
                await world.wait(case.pauses_s[number_ - 1], case.session, number_)
            messages.append({"role": "user", "content": message})
            with agent_run("support"):
                reply = await _answer(client, tools, messages, caching)
    return reply


async def _answer(client: AsyncAnthropic, tools: Any, messages: list[Any], caching: dict[str, Any]) -> str:
    while True:
        response = await client.messages.create(
            model=MODEL, max_tokens=2_000, system=SYSTEM, tools=tools, messages=messages, **caching
        )
        messages.append({"role": "assistant", "content": response.content})
        calls = [block for block in response.content if block.type == "tool_use"]
        if not calls:
            return "".join(block.text for block in response.content if block.type == "text")
        messages.append({"role": "user", "content": await execute_tool_calls_parallel(calls, registry)})
