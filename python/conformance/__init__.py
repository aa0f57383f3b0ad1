"""FastAPI's own test suite, with every application in it served by Bimetal over a socket.

`make conformance` runs it. The suite comes from FastAPI's source distribution, which is fetched and never committed;
`expected_failures.txt` says which of its tests cannot pass, and why.

| module | |
|---|---|
| `source` | fetches the source distribution |
| `plugin` | the pytest plugin: replaces the test clients, notes outcomes |
| `traffic` | which lane answered each request, and why |
| `verdict` | holds outcomes against `expected_failures.txt` |
| `report` | the tables, and the same as JSON |
"""

#: Environment variables that tell a process of the run which share of the tests is its own (`0/2`: the first of two),
#: and the file for its results.
SHARE = "BIMETAL_CONFORMANCE_SHARE"
RESULTS = "BIMETAL_CONFORMANCE_RESULTS"
