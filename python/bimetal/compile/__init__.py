"""Reading a FastAPI application into compiled plans.

`compile_app` gives one `RoutePlan` for each HTTP route: the lane that answers it, how to get from a request to a
call of the handler, and the reason where the fast lanes cannot promise what FastAPI would answer.
"""

from __future__ import annotations

from bimetal.compile.plan import BodyPlan, DirectPlan, Lane, ParamPlan, ResponsePlan, RoutePlan, StepPlan
from bimetal.compile.routes import Compilation, compile_app

__all__ = [
    "BodyPlan",
    "Compilation",
    "DirectPlan",
    "Lane",
    "ParamPlan",
    "ResponsePlan",
    "RoutePlan",
    "StepPlan",
    "compile_app",
]
