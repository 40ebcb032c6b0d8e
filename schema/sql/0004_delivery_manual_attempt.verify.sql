-- Reads the catalog only. From 0005 on deliveries is called attempts, its attempt attempt_number, and
-- event_delivery_index is gone.

select format('%s has no column %s of type %s not null', want.rel, want.name, want.type)
from (
    select coalesce(to_regclass('attempts'), to_regclass('deliveries')), 'manual', 'boolean'
    union all
    select coalesce(to_regclass('attempts'), to_regclass('deliveries')),
           case when to_regclass('attempts') is null then 'attempt' else 'attempt_number' end, 'integer'
    union all
    select to_regclass('event_delivery_index'), name, type
    from (values ('manual', 'boolean'), ('attempt', 'integer')) as both_columns (name, type)
    where to_regclass('attempts') is null
) as want (rel, name, type)
where not exists (
    select from pg_attribute a
    where a.attrelid = want.rel and a.attname = want.name and not a.attisdropped
      and a.attnotnull and format_type(a.atttypid, a.atttypmod) = want.type);
