"""The routes as native handlers: `/health` built in, the others from the plugin crate `natives`."""

import os

from bimetal import Bimetal

app = Bimetal(plugins=[os.path.join(os.environ["LOAD_CRATES"], "libnatives.so")])

# As many routes as a larger application has; registered first, as in the rival.
for number in range(int(os.environ.get("LOAD_ROUTES", "0"))):

    @app.get(f"/area{number}/{{user_id}}/parts", handler_type="native", native="natives.user")
    def area(user_id: int): ...


@app.get("/health", handler_type="native")
def health(): ...


@app.get("/users/{user_id}", handler_type="native", native="natives.user")
def user(user_id: int): ...


@app.get("/search", handler_type="native", native="natives.search")
def search(q: str, limit: int = 10): ...


@app.post("/items", handler_type="native", native="natives.item")
def item(): ...
