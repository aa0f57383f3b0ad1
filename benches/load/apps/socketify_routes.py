"""The routes, in socketify."""

import sys

from socketify import App

app = App()


def health(response, request):
    response.end({"status": "ok"})


def user(response, request):
    user_id = int(request.get_parameter(0))
    response.end({"id": user_id, "name": f"user{user_id}"})


async def a_health(response, request):
    response.end({"status": "ok"})


app.get("/health", health)
app.get("/users/:user_id", user)
app.get("/a/health", a_health)
app.listen(int(sys.argv[1]))
app.run()
