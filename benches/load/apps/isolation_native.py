"""The same with a native probe."""

import occupied

from bimetal import Bimetal

app = Bimetal()


@app.get("/health", handler_type="native")
def health(): ...


for path, function in occupied.ROUTES.items():
    app.get(path)(function)
