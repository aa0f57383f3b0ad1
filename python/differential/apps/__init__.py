"""The applications under test: plain FastAPI, nothing of Bimetal in them.

Their handlers answer with what they were given, as `repr` and type, so that a value read in another way shows in the
body. Nothing in an answer may depend on the process: no addresses, no ports, no time, no random numbers.

Requests are made from an application's own OpenAPI document, so a route that is added is tested. `TARGETS` of a
module, where there is one, adds paths the document does not have.
"""
