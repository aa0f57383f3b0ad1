"""A handler that computes, in Python alone: nothing in it waits or calls into a library."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI()


@app.get("/primes/{limit}")
def primes(limit: int) -> dict[str, int]:
    count = 0
    for number in range(2, limit):
        for divisor in range(2, number):
            if divisor * divisor > number:
                count += 1
                break
            if number % divisor == 0:
                break
        else:
            count += 1
    return {"count": count}
