-- outpost: description = "Let an event list all destinations that it matched"
--
-- An event has one row but may go to several destinations, or to none; a single destination_id could not
-- say so. The old id becomes a list of one, and the empty id an empty list. Changing the type in place
-- writes the table once; a new column and an update would leave a dead copy of every row.

alter table events
    alter column destination_id type text[]
        using case when destination_id = '' then '{}'::text[] else array[destination_id] end,
    alter column destination_id set default '{}';
alter table events rename column destination_id to matched_destination_ids;

create index events_matched_destination_ids_idx on events using gin (matched_destination_ids);

analyze events (matched_destination_ids);
