-- Reads the catalog only: the column was converted in place, so every row has been.

select 'events has no column matched_destination_ids of type text[] not null'
where not exists (
    select from pg_attribute a
    where a.attrelid = to_regclass('events') and a.attname = 'matched_destination_ids' and not a.attisdropped
      and a.attnotnull and format_type(a.atttypid, a.atttypmod) = 'text[]');

select 'column destination_id of events is still there'
from pg_attribute a
where a.attrelid = to_regclass('events') and a.attname = 'destination_id' and not a.attisdropped;

select 'events lacks its valid index events_matched_destination_ids_idx'
where not exists (
    select from pg_index i
    where i.indexrelid = to_regclass('events_matched_destination_ids_idx')
      and i.indrelid = to_regclass('events') and i.indisvalid);
