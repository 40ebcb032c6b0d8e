-- From 0005 on the table is gone and attempts carries what it held: then there is nothing to check.

select 'there is neither event_delivery_index nor, from 0005 on, attempts'
where to_regclass('event_delivery_index') is null and to_regclass('attempts') is null;

select format('event_delivery_index lacks its valid index %s', want.name)
from (values ('event_delivery_index_pkey'), ('idx_event_delivery_index_main')) as want (name)
where to_regclass('event_delivery_index') is not null
  and not exists (
    select from pg_index i
    where i.indexrelid = to_regclass(want.name)
      and i.indrelid = to_regclass('event_delivery_index') and i.indisvalid);

-- Scans all three tables, as nothing less shows that no delivery is missing; except and intersect read
-- each of them once, whatever the statistics say. query_to_xml runs the query only where the tables
-- exist, which a plain select could not.
select format('%s events have deliveries that are not in event_delivery_index, for example %s',
              substring(missing.found from '<events>(.*)</events>'),
              substring(missing.found from '<example>(.*)</example>'))
from (
    select case when to_regclass('event_delivery_index') is not null and to_regclass('deliveries') is not null
        then query_to_xml(
            'select count(*) as events, min(event_id) as example
             from (
                 select event_id
                 from (select event_id, time, id from deliveries
                       except
                       select event_id, delivery_time, delivery_id from event_delivery_index) as unlisted
                 intersect
                 select id from events) as missing
             having count(*) > 0',
            false, true, '')::text
        else '' end
) as missing (found)
where missing.found <> '';
