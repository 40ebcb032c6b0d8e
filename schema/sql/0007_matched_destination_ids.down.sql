-- outpost: data_loss = "all but the first of the destinations that an event matched"
--
-- An event that matched none gets the empty id, as it had before.

drop index events_matched_destination_ids_idx;

alter table events
    alter column matched_destination_ids drop default,
    alter column matched_destination_ids type text using coalesce(matched_destination_ids[1], '');
alter table events rename column matched_destination_ids to destination_id;

analyze events (destination_id);
