-- outpost: description = "Record the type of the destination with each attempt"
-- outpost: requires = ["redis/0001_hash_tags"]
--
-- Attempts are filtered by kind of destination. Earlier ones keep '' (unknown): the type is not in SQL.
-- The edge: the program that fills this column reads the type from ${prefix}tenant:{T}:destination:D,
-- and without the keys of redis/0001 it would find no destination and record '' for ever.
-- Only that one: neither the form of timestamps nor entity matters to it (redis/0002, redis/0003).

alter table attempts add column destination_type text not null default '';

create index idx_attempts_tenant_desttype_time on attempts (tenant_id, destination_type, time desc, id desc);
