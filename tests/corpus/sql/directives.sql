-- outpost: transaction = false
-- outpost: requires = ["redis/0001_hash_tags"]
-- outpost: lock_timeout = "2s"
BEGIN;
CREATE INDEX CONCURRENTLY i ON t (a);
DO $body$ BEGIN PERFORM 1; END $body$;
SELECT E'\'', U&"d!0061";
COMMIT;
