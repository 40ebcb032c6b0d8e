-- outpost: data_loss = "deliveries that 0005 deleted because their event was gone, and the event data of attempts whose event has been deleted since"
--
-- An attempt becomes a delivery again, with its manual flag and number, and the index is rebuilt from
-- what the attempts hold. Partitions that an operator had added to event_delivery_index are not: its
-- rows are all in the default partition.

lock table events, attempts in access exclusive mode;

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
    ) stored,
    manual boolean not null default false,
    attempt integer not null default 0
) partition by range (delivery_time);

create table event_delivery_index_default partition of event_delivery_index default;

insert into event_delivery_index
    (event_id, delivery_id, tenant_id, destination_id, event_time, delivery_time, topic, status, manual, attempt)
select event_id, id, tenant_id, destination_id, event_time, time, topic, status, manual, attempt_number
from attempts;

alter table event_delivery_index add primary key (delivery_time, event_id, delivery_id);

create index idx_event_delivery_index_main on event_delivery_index
    (tenant_id, destination_id, topic, status, event_time desc, delivery_time desc, time_event_id, time_delivery_id);

drop index idx_attempts_id;
drop index idx_attempts_event_time;
drop index idx_attempts_tenant_time;
drop index idx_attempts_tenant_dest_time;
drop index idx_attempts_tenant_topic_time;
drop index idx_attempts_tenant_status_time;

alter table attempts
    drop column event_metadata,
    drop column event_data,
    drop column eligible_for_retry,
    drop column event_time,
    drop column topic,
    drop column tenant_id;
alter table attempts rename column attempt_number to attempt;
alter table if exists attempts_default rename to deliveries_default;
alter table attempts rename to deliveries;

create index deliveries_event_id_idx on deliveries (event_id);
create index deliveries_event_id_status_idx on deliveries (event_id, status);

drop index idx_events_id;
drop index idx_events_tenant_time;
drop index idx_events_tenant_topic_time;

-- A stored column: this writes events anew.
alter table events add column time_id text generated always as (
    lpad((extract(epoch from time at time zone 'UTC')::bigint)::text, 10, '0') || '_' || id
) stored;

create index events_tenant_id_time_id_idx on events (tenant_id, time_id desc);
create index events_tenant_id_destination_id_idx on events (tenant_id, destination_id);

analyze event_delivery_index;
analyze events;
