"""Which functions have a body that could answer, and which are only stubs."""

from __future__ import annotations

import functools

import pytest

from bimetal.binding import has_body


def dots(): ...


def text():
    """A text."""


def passes(a, b=1, *, c: int = 2):
    pass


def text_and_dots(user_id: int) -> dict:
    """A text."""
    ...  # noqa: PIE790 (as some write it)


def bare_return():
    return


async def coroutine(): ...


async def coroutine_with_text(a):
    """A text."""


def constant():
    return 5


def constant_after_text():
    """A text."""
    return 5


def call():
    dots()


def fails():
    raise NotImplementedError


def generator():
    yield


async def coroutine_with_body():
    return {}


@functools.wraps(call)
def wraps_call(): ...


@functools.wraps(dots)
def wraps_dots():
    return 1


@pytest.mark.parametrize(
    "function", [dots, text, passes, text_and_dots, bare_return, coroutine, coroutine_with_text, wraps_dots]
)
def test_stubs(function):
    assert not has_body(function)


@pytest.mark.parametrize(
    "function",
    [constant, constant_after_text, call, fails, generator, coroutine_with_body, wraps_call, functools.partial(call)],
)
def test_bodies(function):
    assert has_body(function)
