-- A file that brings its own transaction: it is unwrapped, so that the record commits with it.
BEGIN;
ALTER TABLE items ADD COLUMN price_cents bigint NOT NULL DEFAULT 0;
COMMIT;
