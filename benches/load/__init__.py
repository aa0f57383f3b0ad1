"""Servers side by side under load: the same routes, the same client, in turns.

`make bench-peers` runs it. What is compared is listed in `systems.py`, what they do in `work.py`.
"""
