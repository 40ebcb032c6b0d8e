-- outpost: description = "Add event_delivery_index and fill it from the existing deliveries"
--
-- Events are listed by the state of their deliveries, which took a join of the two big tables for each
-- page; this table holds that join. It is filled here, so that what was delivered before is listed too.
-- A delivery whose event is gone has no tenant and cannot be listed, so it gets no row.

-- Nothing may be written between reading the two tables and committing the index.
lock table events, deliveries in share mode;

create table event_delivery_index (
    event_id text not null,
    delivery_id text not null,
    tenant_id text not null,
    destination_id text not null,
    event_time timestamptz not null,
    delivery_time timestamptz not null,
    topic text not null,
    status text not null,
    time_event_id text generated always as (
        lpad((extract(epoch from event_time at time zone 'UTC')::bigint)::text, 10, '0') || '_' || event_id
    ) stored,
    time_delivery_id text generated always as (
        lpad((extract(epoch from delivery_time at time zone 'UTC')::bigint)::text, 10, '0') || '_' || delivery_id
    ) stored
) partition by range (delivery_time);

create table event_delivery_index_default partition of event_delivery_index default;

-- One row for each delivery. An event id may occur at several times: then the event that went to the
-- destination of the delivery counts, and of those the latest.
insert into event_delivery_index
    (event_id, delivery_id, tenant_id, destination_id, event_time, delivery_time, topic, status)
select distinct on (d.time, d.id)
    d.event_id, d.id, e.tenant_id, d.destination_id, e.time, d.time, e.topic, d.status
from deliveries d
join events e on e.id = d.event_id
order by d.time, d.id, (e.destination_id = d.destination_id) desc, e.time desc;

-- Indexes after the rows: one sort instead of a search for each row.
alter table event_delivery_index add primary key (delivery_time, event_id, delivery_id);

create index idx_event_delivery_index_main on event_delivery_index
    (tenant_id, destination_id, topic, status, event_time desc, delivery_time desc, time_event_id, time_delivery_id);

analyze event_delivery_index;
