"""The differential test: generated requests, sent to the same applications on Bimetal and on FastAPI with uvicorn.

`make differential` runs it. Status, headers (but `date`, `server`, and what frames the message on its one connection)
and the bytes of the body have to be equal; what may differ stands in `known`, with a reason.

| module | |
|---|---|
| `applications` | the applications there are; `apps/` has them |
| `operations` | from an application's OpenAPI document to strategies for requests |
| `texts` | values of parameters, fields and strings |
| `documents` | JSON bodies |
| `targets`, `fields`, `forms` | paths and queries, header fields and cookies, form bodies |
| `request` | a request as bytes, and as a line for a shell |
| `servers`, `serve` | the two servers, and connections to them |
| `answers`, `known` | what counts as a difference, and which differences are meant |
| `explore` | has hypothesis send an operation's requests, and make the first that differs small |
| `run`, `report` | all applications, in several processes; the tables |
"""
