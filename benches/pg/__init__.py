"""`bimetal.pg` beside psycopg and asyncpg: `make bench-pg`."""
