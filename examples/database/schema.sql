-- What the database example expects: psql "$DATABASE_URL" -f schema.sql
CREATE TABLE IF NOT EXISTS notes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    text text NOT NULL
);
