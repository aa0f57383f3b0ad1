"""The routes, in django-bolt. The settings of Django and the command that serves them are here, too."""

import asyncio
import sys

import msgspec
from django.conf import settings
from django_bolt import BoltAPI

settings.configure(
    SECRET_KEY="of a benchmark on the loopback address",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django_bolt"],
    ROOT_URLCONF="bolt_routes",
    BOLT_API=["bolt_routes:api"],
    # No line for each request, as with the others.
    LOGGING={"version": 1, "loggers": {"django.server": {"level": "WARNING"}}},
)
urlpatterns: list = []

api = BoltAPI(enable_logging=False)


class Item(msgspec.Struct):
    name: str
    price: float
    tags: list[str] = []


@api.get("/health")
def health():
    return {"status": "ok"}


@api.get("/users/{user_id}")
def user(user_id: int):
    return {"id": user_id, "name": f"user{user_id}"}


@api.get("/search")
def search(q: str, limit: int = 10):
    return {"q": q, "limit": limit}


@api.post("/items")
def item(item: Item) -> Item:
    return item


@api.get("/a/health")
async def a_health():
    return {"status": "ok"}


@api.get("/a/users/{user_id}")
async def a_user(user_id: int):
    return {"id": user_id, "name": f"user{user_id}"}


@api.get("/a/sleep")
async def a_sleep():
    await asyncio.sleep(0.001)
    return {"slept": 0.001}


if __name__ == "__main__":
    # Found again under this name, with the routes above, by the command.
    sys.modules["bolt_routes"] = sys.modules[__name__]
    from django.core.management import execute_from_command_line

    execute_from_command_line(["bolt", "runbolt", "--host", "127.0.0.1", "--port", sys.argv[1], "--no-admin"])
