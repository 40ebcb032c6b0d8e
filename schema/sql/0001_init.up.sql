-- outpost: description = "Create events and deliveries, partitioned by time"
--
-- Ranges of time, so that old data can be dropped a partition at a time; the default partitions hold
-- every row until an operator adds others. time_id sorts as text by time, then id: it is the cursor with
-- which a tenant's events are paged.

create table events (
    id text not null,
    tenant_id text not null,
    destination_id text not null,
    time timestamptz not null,
    topic text not null,
    eligible_for_retry boolean not null,
    data jsonb not null,
    metadata jsonb not null,
    time_id text generated always as (
        lpad((extract(epoch from time at time zone 'UTC')::bigint)::text, 10, '0') || '_' || id
    ) stored,
    primary key (time, id)
) partition by range (time);

create table events_default partition of events default;

create index events_tenant_id_time_id_idx on events (tenant_id, time_id desc);
create index events_tenant_id_destination_id_idx on events (tenant_id, destination_id);

create table deliveries (
    id text not null,
    event_id text not null,
    destination_id text not null,
    status text not null,
    time timestamptz not null,
    primary key (time, id)
) partition by range (time);

create table deliveries_default partition of deliveries default;

create index deliveries_event_id_idx on deliveries (event_id);
create index deliveries_event_id_status_idx on deliveries (event_id, status);
