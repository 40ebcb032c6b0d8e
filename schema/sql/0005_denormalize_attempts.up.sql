-- outpost: description = "Turn deliveries into attempts that carry their event's data"
--
-- Every list of attempts needed its event, by a join or through event_delivery_index. An attempt now
-- holds what is shown of it, and the index table goes. deliveries is altered, not replaced: privileges,
-- publications and the partitions that an operator added stay as they are.

-- All locks at once, in the order in which the application writes: no deadlock, and no wait half-way.
lock table events, deliveries, event_delivery_index in access exclusive mode;

-- Indexes on events first: by id is how the rows below are found.
drop index events_tenant_id_time_id_idx;
drop index events_tenant_id_destination_id_idx;
alter table events drop column time_id;

create index idx_events_id on events (id);
create index idx_events_tenant_time on events (tenant_id, time desc, id desc);
create index idx_events_tenant_topic_time on events (tenant_id, topic, time desc, id desc);

-- An event id may occur at several times, even with several tenants. Those few are put aside, so that
-- all others take one plain join.
create temporary table outpost_repeated_event_ids on commit drop as
select id from events group by id having count(*) > 1;

-- The deliveries, which are small, step aside while their table is widened. An update in place would
-- leave a dead copy of every row, and an entry for it in every index built below.
create temporary table outpost_deliveries on commit drop as
select * from deliveries;

analyze outpost_repeated_event_ids;
analyze outpost_deliveries;

truncate deliveries;
drop index deliveries_event_id_idx;
drop index deliveries_event_id_status_idx;

alter table deliveries rename to attempts;
alter table if exists deliveries_default rename to attempts_default;
alter table attempts rename column attempt to attempt_number;
alter table attempts
    add column tenant_id text not null,
    add column topic text not null,
    add column event_time timestamptz not null,
    add column eligible_for_retry boolean not null,
    add column event_data jsonb not null,
    add column event_metadata jsonb not null;

-- All columns of a delivery come back by their position, one that an operator added included. A delivery
-- whose event no longer exists does not: it has no tenant, so nobody could see it.
insert into attempts
select d.*, e.tenant_id, e.topic, e.time, e.eligible_for_retry, e.data, e.metadata
from outpost_deliveries d
join events e on e.id = d.event_id
where not exists (select from outpost_repeated_event_ids r where r.id = e.id);

-- For a repeated id: the event that the index names for this delivery; failing that, one that went to
-- the same destination; of those the latest.
insert into attempts
select d.*, e.tenant_id, e.topic, e.time, e.eligible_for_retry, e.data, e.metadata
from (
    select distinct on (d.time, d.id)
        d.time as delivery_time, d.id as delivery_id, c.time as event_time, c.id as event_id
    from outpost_repeated_event_ids r
    join outpost_deliveries d on d.event_id = r.id
    join events c on c.id = r.id
    left join event_delivery_index x
        on x.delivery_time = d.time and x.event_id = d.event_id and x.delivery_id = d.id
    order by d.time, d.id,
        (x.event_time is not distinct from c.time and x.tenant_id is not distinct from c.tenant_id) desc,
        (c.destination_id = d.destination_id) desc,
        c.time desc
) as chosen
join outpost_deliveries d on d.time = chosen.delivery_time and d.id = chosen.delivery_id
join events e on e.time = chosen.event_time and e.id = chosen.event_id;

-- Indexes after the rows: one sort instead of a search for each row.
create index idx_attempts_id on attempts (id);
create index idx_attempts_event_time on attempts (event_id, time desc, id desc);
create index idx_attempts_tenant_time on attempts (tenant_id, time desc, id desc);
create index idx_attempts_tenant_dest_time on attempts (tenant_id, destination_id, time desc, id desc);
create index idx_attempts_tenant_topic_time on attempts (tenant_id, topic, time desc, id desc);
create index idx_attempts_tenant_status_time on attempts (tenant_id, status, time desc, id desc);

drop table event_delivery_index;

-- The new columns have no statistics, and autovacuum never analyzes a partitioned table itself.
analyze attempts;
analyze events;
