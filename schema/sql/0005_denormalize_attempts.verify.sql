-- Reads the catalog only: the columns are not null, so no attempt can be without its event's data, and
-- an index that is valid covers every partition. event_data is text from 0006 on.

select format('attempts has no column %s of type %s not null', want.name, want.types)
from (values ('tenant_id', '{text}'::text[]),
             ('topic', '{text}'),
             ('event_time', '{timestamp with time zone}'),
             ('eligible_for_retry', '{boolean}'),
             ('event_data', '{jsonb,text}'),
             ('event_metadata', '{jsonb}'),
             ('manual', '{boolean}'),
             ('attempt_number', '{integer}')
     ) as want (name, types)
where not exists (
    select from pg_attribute a
    where a.attrelid = to_regclass('attempts') and a.attname = want.name and not a.attisdropped
      and a.attnotnull and format_type(a.atttypid, a.atttypmod) = any (want.types));

select format('%s is still there', old.name)
from (values ('deliveries'), ('deliveries_default'), ('event_delivery_index'), ('event_delivery_index_default')
     ) as old (name)
where to_regclass(old.name) is not null;

select format('column %s of %s is still there', a.attname, a.attrelid::regclass)
from pg_attribute a
where not a.attisdropped
  and (a.attrelid = to_regclass('events') and a.attname = 'time_id'
    or a.attrelid = to_regclass('attempts') and a.attname = 'attempt');

select format('%s lacks its valid index %s', want.rel, want.name)
from (values ('events', 'idx_events_id'),
             ('events', 'idx_events_tenant_time'),
             ('events', 'idx_events_tenant_topic_time'),
             ('attempts', 'idx_attempts_id'),
             ('attempts', 'idx_attempts_event_time'),
             ('attempts', 'idx_attempts_tenant_time'),
             ('attempts', 'idx_attempts_tenant_dest_time'),
             ('attempts', 'idx_attempts_tenant_topic_time'),
             ('attempts', 'idx_attempts_tenant_status_time')
     ) as want (rel, name)
where not exists (
    select from pg_index i
    where i.indexrelid = to_regclass(want.name) and i.indrelid = to_regclass(want.rel) and i.indisvalid);
